"""Options that commands share, as Typer reads them; what their values mean is in `request`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from .request import read_modality, read_prompts, read_settings

if TYPE_CHECKING:
    from ..engine.prompt.prompt import PromptSet
    from ..engine.session.settings import Settings
    from ..engine.volume import Modality

_WHAT, _WHERE, _MODELS, _CHAIN = "What to look for", "Where to look", "Models", "The chain"

VolumeArgument = Annotated[
    Path,
    typer.Argument(
        metavar="VOLUME", help="NRRD, NIfTI or MetaImage file, DICOM folder or file, PNG, JPEG, TIFF or BMP picture."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, ...", rich_help_panel=_MODELS)
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Numbers of the large networks: fp32, bf16, fp16, or auto, what the device is fastest in.",
        rich_help_panel=_MODELS,
    ),
]
ClipOption = Annotated[str, typer.Option("--clip", metavar="NAME|FOLDER", help="Image-text model.")]
SamOption = Annotated[str, typer.Option("--sam", metavar="NAME|FILE", help="Promptable segmenter.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@dataclass(frozen=True)
class ChainOptions:
    """The options of every command that runs the chain, as typed."""

    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt",
            "-p",
            metavar="TEXT",
            help='What to segment: "liver", or NAME="wording; wording". Repeatable.',
            rich_help_panel=_WHAT,
        ),
    ] = None
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="JSON file with a prompt set.", rich_help_panel=_WHAT),
    ] = None
    point: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            metavar="NAME=R,A,S",
            help="A place in mm where the structure of that prompt is. Repeatable.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    not_point: Annotated[
        list[str] | None,
        typer.Option(
            "--not-point",
            metavar="NAME=R,A,S",
            help="A place in mm where it is not. Repeatable.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    series: Annotated[
        str | None,
        typer.Option(
            "--series",
            metavar="NUMBER|TEXT",
            help="Of a DICOM folder: number, or part of the description, of the series; see `medclipsam series`.",
            rich_help_panel=_WHERE,
        ),
    ] = None
    frame: Annotated[
        int | None,
        typer.Option(
            "--frame",
            metavar="N",
            min=1,
            help="Of several volumes at one place, such as phases or b-values, or of several pictures. Default: 1.",
            rich_help_panel=_WHERE,
        ),
    ] = None
    axis: Annotated[
        str,
        typer.Option(
            "--axis",
            metavar="AXIS",
            help="Slices: axial, coronal, sagittal, acquisition (as stored), or auto: axial, or as thick slices lie.",
            rich_help_panel=_WHERE,
        ),
    ] = "auto"
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="LOW,HIGH|NAME",
            help="Intensities shown to the models, or soft-tissue, lung, bone or brain (HU). Default: by modality.",
            rich_help_panel=_WHERE,
        ),
    ] = None
    modality: Annotated[
        str | None,
        typer.Option(
            "--modality",
            metavar="CT|MR|other",
            help="What the intensities mean. Default: as DICOM says, else guessed.",
            rich_help_panel=_WHERE,
        ),
    ] = None
    clip: Annotated[
        str,
        typer.Option(
            "--clip",
            metavar="NAME|FOLDER",
            help="Image-text model; see `medclipsam models list`.",
            rich_help_panel=_MODELS,
        ),
    ] = "quickstart"
    sam: Annotated[
        str,
        typer.Option(
            "--sam",
            metavar="NAME|FILE",
            help="Promptable segmenter; see `medclipsam models list`.",
            rich_help_panel=_MODELS,
        ),
    ] = "lite-medsam"
    device: DeviceOption = "auto"
    saliency: Annotated[
        str | None,
        typer.Option(
            "--saliency",
            metavar="NAME",
            help="Such as m2ib, gradcam or naclip; docs/explanation/saliency.md lists them. Default: the model's.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer",
            min=0,
            help="Block of the image tower: m2ib's bottleneck, or where a map is taken. Default: the method's.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            min=0,
            help="m2ib: weight of the information. Default: the model's.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="m2ib: steps of Adam.", rich_help_panel=_CHAIN)
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Of the noise of m2ib, gradient and rise.", rich_help_panel=_CHAIN),
    ] = None
    localize: Annotated[
        str | None,
        typer.Option(
            "--localize",
            metavar="NAME",
            help="kmeans, threshold, otsu or crf. Default: by saliency method.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    voting: Annotated[
        str | None,
        typer.Option(
            "--voting",
            metavar="NAME",
            help="Ask the segmenter for several masks: best, average, weighted or staple.",
            rich_help_panel=_CHAIN,
        ),
    ] = None
    precision: PrecisionOption = "auto"
    slicewise: Annotated[
        bool,
        typer.Option(
            "--slicewise", help="As published: a box on every slice; presence is not judged.", rich_help_panel=_CHAIN
        ),
    ] = False
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Saliency and localisation exactly as published: m2ib, or gradcam, scorecam or gscorecam as the first"
            " MedCLIP-SAM has them; presence is not judged.",
            rich_help_panel=_CHAIN,
        ),
    ] = False

    def read_prompts(self) -> PromptSet:
        """What to look for; see `request.read_prompts`."""
        return read_prompts(self.prompt, self.prompts, self.point, self.not_point)

    def read_modality(self) -> Modality | None:
        """What the intensities mean; see `request.read_modality`."""
        return read_modality(self.modality)

    def read_settings(self) -> Settings:
        """How the session shall run; see `request.read_settings`."""
        return read_settings(
            axis=self.axis,
            window=self.window,
            saliency=self.saliency,
            layer=self.layer,
            beta=self.beta,
            steps=self.steps,
            seed=self.seed,
            localize=self.localize,
            voting=self.voting,
            precision=self.precision,
            slicewise=self.slicewise,
            exact=self.exact,
        )


def with_chain_options(command: Callable[..., None]) -> Callable[..., None]:
    """Lets Typer see the fields of `ChainOptions` in place of the parameter ``chain`` of ``command``."""
    hints = get_type_hints(ChainOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields(ChainOptions)
    ]
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += options if parameter.name == "chain" else [parameter.replace(kind=keyword)]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chain = ChainOptions(**{option.name: given.pop(option.name) for option in options})
        command(chain=chain, **given)

    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
