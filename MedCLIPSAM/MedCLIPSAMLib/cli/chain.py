"""From checked options to a session, and from its prompts to segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..engine.errors import Cancelled
from .console import interruptible
from .progress import Bars, Stopwatch
from .request import check_fit

if TYPE_CHECKING:
    from ..engine.clip.base import ImageTextModel
    from ..engine.prompt.prompt import PromptSet
    from ..engine.sam.base import PromptableSegmenter
    from ..engine.session.session import Session
    from ..engine.session.settings import Settings
    from ..engine.volume import Modality, Volume
    from ..scene.run import Result


@dataclass(frozen=True)
class Outcome:
    """What became of the prompts.

    Attributes:
        results: of the prompts that were finished, the first ones.
        segmentation_node: with their segments.
        failure: what ended the next prompt, None where all are finished.
    """

    results: list[Result]
    segmentation_node: Any
    failure: Exception | None


@dataclass(frozen=True)
class Source:
    """A volume in the scene, and the engine's view of it."""

    node: Any
    volume: Volume


def read_source(
    path: Path, modality: Modality | None, watch: Stopwatch, series: str | None = None, frame: int | None = None
) -> Source:
    """Start the scene and read a volume into it; what was chosen and assumed is said.

    Raises:
        InputError: there is no volume at `path`, or not that series or frame.
    """
    with watch.stage("reading", f"Reading {path.name}"):
        from ..scene.host import start
        from ..scene.remarks import remarks
        from ..scene.volumes import read_volume, volume_from_node

        start()
        node = read_volume(path, series, frame)
        source = Source(node, volume_from_node(node, modality))
    for remark in remarks(node):
        watch.say(remark)
    return source


def check_wordings(prompts: PromptSet, clip: str, watch: Stopwatch) -> None:
    """Refuse, before any work, texts that a model would misread; what is only doubtful is said.

    Raises:
        InputError: a text negates, or is a mistake or another language for a term that the built-in model knows.
        ModelError: the built-in model is damaged.
    """
    from ..engine.clip.registry import known_terms
    from ..engine.prompt.advice import check_texts

    for sentence in check_texts(prompts, known_terms(clip)):
        watch.say(sentence)


def load_models(
    prompts: PromptSet, clip: str, sam: str, device: str, settings: Settings, watch: Stopwatch
) -> tuple[ImageTextModel, PromptableSegmenter]:
    """Load both models; what is doubtful of the prompts' meaning is said.

    Raises:
        ModelError: a model is unknown, missing, damaged or of another kind.
        InputError: there is no such device, or the settings do not go with the models.
    """
    with watch.stage("loading models", "Loading models"):
        from ..engine.clip.registry import load_clip
        from ..engine.prompt.advice import check_meanings
        from ..engine.sam.registry import load_segmenter

        image_text = load_clip(clip, device)
        check_fit(settings, image_text)
        for sentence in check_meanings(prompts, image_text):
            watch.say(sentence)
        return image_text, load_segmenter(sam, device)


def open_session(
    source: Source, prompts: PromptSet, clip: str, sam: str, device: str, settings: Settings, watch: Stopwatch
) -> Session:
    """Load both models and open a session on the volume.

    Raises:
        ModelError: as of `load_models`.
        InputError: likewise, or a prompt cannot be read.
    """
    models = load_models(prompts, clip, sam, device, settings, watch)
    with watch.stage("preparing", "Preparing slices"):
        from ..engine.session.session import Session

        return Session(source.volume, *models, settings)


def run_prompts(
    session: Session,
    source: Source,
    prompts: PromptSet,
    slices: range,
    console: Console,
    watch: Stopwatch,
) -> Outcome:
    """The chain for each prompt, with bars, until one fails.

    Raises:
        Cancelled: Ctrl-C was pressed.
        Exception: what the first prompt failed by; what a later one fails by is part of the outcome.
    """
    from ..engine.prompt.prompt import PromptSet
    from ..scene.run import run
    from ..scene.segmentation.segments import create_segmentation

    node = create_segmentation(source.node)
    results: list[Result] = []
    with interruptible(console) as cancelled, Bars(console) as bars:
        for prompt in prompts:
            bars.begin(prompt.name, len(slices))
            try:
                (result,) = run(
                    session,
                    source.node,
                    PromptSet((prompt,)),
                    node,
                    slices=slices,
                    progress=lambda state: bars.report(state.step),
                    cancelled=cancelled,
                )
            except Cancelled:
                raise
            except Exception as error:  # whatever it is, it must not cost what is finished
                if not results:
                    raise
                bars.end("failed")
                return Outcome(results, node, error)
            bars.end(result.verdict)
            watch.add(result.summary["seconds"])
            results.append(result)
    return Outcome(results, node, None)
