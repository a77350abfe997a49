"""`medclipsam segment`: prompts on a volume become a segmentation file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ...engine.errors import Cancelled, MedCLIPSAMError
from .. import options
from ..chain import check_wordings, open_session, read_source, run_prompts
from ..console import stderr, stdout
from ..files import check_apart, check_file, check_folder, new_file, new_files, reserved
from ..progress import Stopwatch
from ..request import REPORTS, read_range, read_reports, slices_of

if TYPE_CHECKING:
    from rich.console import Console

    from ...engine.prompt.prompt import PromptSet
    from ...engine.session.session import Session
    from ...engine.session.settings import Settings
    from ...engine.volume import Modality
    from ...scene.run import Result
    from ..chain import Source


@options.with_chain_options
def segment(
    volume: options.VolumeArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="File to write: .seg.nrrd, .nii.gz, .mrb; of DICOM .seg.dcm, .rtstruct.dcm; surfaces .stl, .obj; "
            ".png of a picture.",
        ),
    ],
    chain: options.ChainOptions,
    slices: Annotated[
        str | None,
        typer.Option(
            "--slices",
            metavar="A:B",
            help="First and last slice, both included, from 0. Default: all.",
            rich_help_panel="Where to look",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="DIR", help="Folder for scores as CSV, and pictures."),
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="What was done and found: .json; .sr.dcm measures as a DICOM structured report. Once for each.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option("--overlay", metavar="PNG", help="Of a picture: the segments drawn on it.")
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="MAP",
            help="How unsure each voxel is, in bits: .nrrd or .nii.gz; of several prompts one file each, MAP-PROMPT.",
        ),
    ] = None,
    separate: Annotated[
        bool,
        typer.Option("--separate", help="One file for each prompt, named OUT-PROMPT: nothing is lost to overlaps."),
    ] = False,
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
    json: options.JsonOption = False,
) -> None:
    """Segment what the prompts say.

    A prompt that is not found leaves an empty segment, and is no error. What is finished is saved before pictures are
    drawn, and where a later prompt fails.
    """
    asked = chain.read_prompts()
    limits = read_range(slices)
    console = stderr(quiet=quiet)
    watch = Stopwatch(console)
    with watch.stage("starting", "Starting"):
        meaning, settings = chain.read_modality(), chain.read_settings()
        account, measures = read_reports(report)
        targets = _Targets(output, evidence, account, measures, overlay, uncertainty, separate, force, json, quiet)
        targets.check(volume, [prompt.name for prompt in asked])
        check_wordings(asked, chain.clip, watch)
    with reserved(output, evidence, account, measures, overlay, uncertainty):
        _segment(volume, meaning, asked, limits, chain, settings, targets, watch, console)


@dataclass(frozen=True)
class _Targets:
    """What a run writes, and where."""

    output: Path
    evidence: Path | None
    report: Path | None
    measures: Path | None
    overlay: Path | None
    uncertainty: Path | None
    separate: bool
    force: bool
    json: bool
    quiet: bool

    def check(self, volume: Path, names: Sequence[str]) -> None:
        from ...scene.files.maps import check_map, map_files
        from ...scene.files.saving import check_output, output_files
        from ...scene.pacs.source import check_highdicom

        maps: Sequence[Path] = ()
        if self.uncertainty is not None:
            maps = map_files(check_map(self.uncertainty, names, force=self.force), names)
        output = check_output(self.output, force=self.force, names=names, separate=self.separate)
        files = output_files(output, names, separate=self.separate)
        check_apart(volume, *files, *maps, self.evidence, self.report, self.measures, self.overlay)
        if self.overlay is not None:
            check_file(self.overlay, ".png", force=self.force)
        if self.evidence is not None:
            check_folder(self.evidence, force=self.force)
        if self.report is not None:
            check_file(self.report, *REPORTS, force=self.force)
        if self.measures is not None:
            check_file(self.measures, *REPORTS, force=self.force)
            check_highdicom(self.measures)


def _segment(
    volume: Path,
    meaning: Modality | None,
    asked: PromptSet,
    limits: tuple[int, int | None],
    chain: options.ChainOptions,
    settings: Settings,
    targets: _Targets,
    watch: Stopwatch,
    console: Console,
) -> None:
    source = read_source(volume, meaning, watch, chain.series, chain.frame)
    from ...engine.session.pointing import points_on
    from ...engine.volume import SliceStack
    from ...scene.files.maps import check_map_grid, map_files
    from ...scene.files.saving import check_slices
    from ...scene.pacs.source import source_of

    check_slices(targets.output, source.node)
    if targets.overlay is not None:
        check_slices(targets.overlay, source.node, instead="--evidence")
    if targets.measures is not None:
        source_of(targets.measures, source.node)
    if targets.uncertainty is not None:
        check_map_grid(targets.uncertainty, source.node)
    stack = SliceStack(source.volume, settings.axis)
    searched = slices_of(stack, limits)
    for prompt in asked:
        points_on(stack, prompt, searched)  # a bad one is told before the models are loaded
    session = open_session(source, asked, chain.clip, chain.sam, chain.device, settings, watch)
    outcome = run_prompts(session, source, asked, searched, console, watch)
    results, node = outcome.results, outcome.segmentation_node

    from ...scene.files.overlay import write_overlay
    from ...scene.files.saving import save
    from ...scene.remarks import how_read
    from ..doubts import write_doubts
    from ..measures import write_measures
    from ..report import as_json, make_report, print_results

    output = targets.output
    with watch.stage("saving", f"Saving {output.name}"):
        saved = save(node, source.node, output, force=targets.force, separate=targets.separate)
    missing = [prompt.name for prompt in asked][len(results) :]
    state = "is saved" if saved.files else "is not written, as nothing was found"
    with _telling_what_is_saved(f"{output} {state}" + (f" without {', '.join(missing)}" if missing else "")):
        drawn = [] if targets.overlay is None else [targets.overlay]
        if targets.overlay is not None:
            with watch.stage("pictures", f"Drawing {targets.overlay.name}"), new_file(targets.overlay) as unfinished:
                write_overlay(node, source.node, session.window, unfinished)

        def write_report(doubts: Mapping[str, Any] | None = None) -> dict[str, Any]:
            account = make_report(volume, session, results, saved, watch.seconds, how_read(source.node), drawn, doubts)
            if targets.report is not None:
                with new_file(targets.report) as unfinished:
                    unfinished.write_text(as_json(account), encoding="utf-8")
            return account

        account, doubts = write_report(), None
        if targets.measures is not None and write_measures(targets.measures, node, source.node, account):
            drawn.append(targets.measures)
            account = write_report()
        if targets.uncertainty is not None:
            maps = map_files(targets.uncertainty, [prompt.name for prompt in asked])[: len(results)]
            doubts = write_doubts(session, source, node, results, maps, console, watch)
            drawn += [Path(doubt["file"]) for doubt in doubts.values()]
            account = write_report(doubts)  # again, and after pictures: they may have failed or been interrupted
        if targets.evidence is not None:
            with new_files(targets.evidence) as folder:
                _write_evidence(session, source, node, results, folder, watch)
                drawn += [targets.evidence / file.name for file in sorted(folder.iterdir())]
            account = write_report(doubts)
        if targets.json:
            print(as_json(account), end="")
        elif not targets.quiet:
            print_results(account, stdout(), targets.report)
        if outcome.failure is not None:
            raise outcome.failure


@contextmanager
def _telling_what_is_saved(saved: str) -> Iterator[None]:
    """Whatever goes wrong here, the user learns of the segmentation that there is."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, MedCLIPSAMError) and not isinstance(error, Cancelled):
            raise type(error)(f"{saved}, but: {error}") from None
        stderr().print(Text(f"{saved}, but not all that belongs to it."), soft_wrap=True)
        raise


def _write_evidence(
    session: Session, source: Source, node: Any, results: Sequence[Result], folder: Path, watch: Stopwatch
) -> None:
    from ..evidence import PICTURES, write_evidence

    with watch.counted("pictures", "Drawing pictures", PICTURES * len(results)) as drawn:
        write_evidence(session, source, node, results, folder, drawn)
