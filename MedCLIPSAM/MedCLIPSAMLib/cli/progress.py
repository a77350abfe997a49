"""What a waiting user sees: the step at work, and a bar for each prompt with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from math import ceil
from typing import TYPE_CHECKING

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from ..engine.session.evidence import Progress


class Stopwatch:
    """Seconds by stage, in the order of the stages; each is announced while it runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, announcement: str) -> Iterator[None]:
        """Measure what is done inside."""
        start = time.perf_counter()
        with self._console.status(Text(announcement)):
            yield
        self.add({name: time.perf_counter() - start})

    @contextmanager
    def counted(self, name: str, announcement: str, total: int) -> Iterator[Callable[[], None]]:
        """As `stage`, for ``total`` things, each of which is told to what this yields."""
        with self.filling(name, announcement, total) as tell:
            steps = count(1)
            yield lambda: tell(next(steps))

    @contextmanager
    def filling(self, name: str, announcement: str, total: int) -> Iterator[Callable[[int], None]]:
        """As `counted`, but what this yields is told how many are done."""
        start = time.perf_counter()
        columns = rich_progress.TextColumn(announcement, markup=False), rich_progress.BarColumn()
        with rich_progress.Progress(
            *columns, rich_progress.MofNCompleteColumn(), _Time(), console=self._console
        ) as bar:
            task = bar.add_task(name, total=total, ends=None)
            since = bar.get_time()

            def tell(done: int) -> None:
                bar.update(task, completed=done, ends=since + (bar.get_time() - since) * total / max(1, done))

            yield tell
        self.add({name: time.perf_counter() - start})

    def say(self, sentence: str) -> None:
        """A line of its own, which stays."""
        self._console.print(Text(sentence), soft_wrap=True)

    def add(self, seconds: dict[str, float]) -> None:
        """Add what others have measured."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value


class Bars:
    """A line for each prompt: stage, bar, slices, time gone and left; used as a context."""

    def __init__(self, console: Console) -> None:
        name = Column(no_wrap=True, overflow="ellipsis", max_width=30)
        self._progress = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}", markup=False, table_column=name),
            rich_progress.TextColumn("{task.fields[stage]}", table_column=Column(min_width=9)),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            _Time(),
            console=console,
        )
        self._task = rich_progress.TaskID(0)
        self._slices = 0
        self._stage, self._since, self._last = "", 0.0, 0.0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, name: str, slices: int, stage: str = "saliency") -> None:
        """The prompt `name` is at work, first on `stage`."""
        self._slices = slices
        self._task = self._progress.add_task(name, total=slices, stage=stage, ends=None)
        self._stage, self._since = stage, self._progress.get_time()
        self._last = self._since

    def report(self, step: Progress) -> None:
        """Move the line of the prompt at work."""
        now = self._progress.get_time()
        if step.stage != self._stage:
            self._stage, self._since = step.stage, self._last
        self._last = now
        ends = self._since + (now - self._since) * step.total / max(1, step.done)
        self._progress.update(self._task, completed=step.done, total=step.total, stage=step.stage, ends=ends)

    def end(self, result: str) -> None:
        """The prompt at work is done."""
        self._progress.update(self._task, completed=self._slices, total=self._slices, stage=result, ends=None)
        self._progress.stop_task(self._task)


class _Time(rich_progress.ProgressColumn):
    """Time gone, and time left of the stage.

    Rich's own columns stop when a bar is full, which here only ends a stage, and tell the time left after many
    reports, whereas slices come a few at a time.
    """

    def render(self, task: rich_progress.Task) -> Text:
        text = Text(_clock(task.elapsed or 0), style="progress.elapsed")
        ends = task.fields["ends"]
        if ends is not None:
            text.append(f", {_clock(max(0.0, ends - task.get_time()))} left", style="progress.remaining")
        return text


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=ceil(seconds)))
