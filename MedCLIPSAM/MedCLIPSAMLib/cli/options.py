"""Options that commands share, as Typer reads them; what their values mean is in `request`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_WHAT, _WHERE, _MODELS, _CHAIN = "What to look for", "Where to look", "Models", "The chain"

VolumeArgument = Annotated[
    Path, typer.Argument(metavar="VOLUME", help="NRRD, NIfTI or MetaImage file, or a DICOM folder.")
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="TEXT",
        help='What to segment: "liver", or NAME="wording; wording". Repeatable.',
        rich_help_panel=_WHAT,
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompts", metavar="FILE", help="JSON file with a prompt set.", rich_help_panel=_WHAT),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="NAME=R,A,S",
        help="A place in mm where the structure of that prompt is. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
NotPoints = Annotated[
    list[str] | None,
    typer.Option(
        "--not-point",
        metavar="NAME=R,A,S",
        help="A place in mm where it is not. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
AxisOption = Annotated[
    str,
    typer.Option(
        "--axis",
        metavar="AXIS",
        help="Slices are axial, coronal, sagittal, or as acquired.",
        rich_help_panel=_WHERE,
    ),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="LOW,HIGH|NAME",
        help="Intensities shown to the models, or soft-tissue, lung, bone or brain (HU). Default: by modality.",
        rich_help_panel=_WHERE,
    ),
]
ModalityOption = Annotated[
    str | None,
    typer.Option(
        "--modality",
        metavar="CT|MR|other",
        help="What the intensities mean. Default: as DICOM says, else guessed.",
        rich_help_panel=_WHERE,
    ),
]
ClipOption = Annotated[
    str,
    typer.Option(
        "--clip",
        metavar="NAME|FOLDER",
        help="Image-text model; see `medclipsam models list`.",
        rich_help_panel=_MODELS,
    ),
]
SamOption = Annotated[
    str,
    typer.Option(
        "--sam",
        metavar="NAME|FILE",
        help="Promptable segmenter; see `medclipsam models list`.",
        rich_help_panel=_MODELS,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, ...", rich_help_panel=_MODELS),
]
SaliencyOption = Annotated[
    str | None,
    typer.Option("--saliency", metavar="NAME", help="m2ib or dense. Default: the model's.", rich_help_panel=_CHAIN),
]
LayerOption = Annotated[
    int | None,
    typer.Option("--layer", min=0, help="m2ib: block of the bottleneck. Default: the model's.", rich_help_panel=_CHAIN),
]
BetaOption = Annotated[
    float | None,
    typer.Option(
        "--beta",
        min=0,
        help="m2ib: weight of the information. Default: the model's.",
        rich_help_panel=_CHAIN,
    ),
]
StepsOption = Annotated[int | None, typer.Option("--steps", min=1, help="m2ib: steps of Adam.", rich_help_panel=_CHAIN)]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="m2ib: seed of the noise.", rich_help_panel=_CHAIN)
]
LocalizeOption = Annotated[
    str | None,
    typer.Option(
        "--localize",
        metavar="NAME",
        help="kmeans, threshold, otsu or crf. Default: by saliency method.",
        rich_help_panel=_CHAIN,
    ),
]
VotingOption = Annotated[
    str | None,
    typer.Option(
        "--voting",
        metavar="NAME",
        help="Ask the segmenter for several masks: best, average, weighted or staple.",
        rich_help_panel=_CHAIN,
    ),
]
SlicewiseOption = Annotated[
    bool,
    typer.Option("--slicewise", help="As published: a box on every slice, absent or not.", rich_help_panel=_CHAIN),
]
ExactOption = Annotated[
    bool,
    typer.Option("--exact", help="Saliency and localisation exactly as published, by m2ib.", rich_help_panel=_CHAIN),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
