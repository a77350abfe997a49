"""`medclipsam weak`: masks of the chain teach an nnU-Net, whose snapshots then say how sure they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
import typer
from rich.text import Text

from ...engine.errors import MedCLIPSAMError
from .. import options
from ..chain import check_wordings, load_models, read_source
from ..console import stderr, stdout
from ..files import check_apart, reserved
from ..progress import Stopwatch

if TYPE_CHECKING:
    from ...weak.predicting import Prediction
    from ...weak.preparing import Preparation
    from ...weak.studies import Study

weak = typer.Typer(help="Weak supervision: masks of the chain teach an nnU-Net (pip install 'medclipsam[weak]').")

_GATE = "What is kept"


@weak.command()
@options.with_chain_options
def prepare(
    studies: Annotated[
        Path, typer.Argument(metavar="STUDIES", help="Folder of volumes, pictures or DICOM folders, at any depth.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DATASET", help="Folder to write, nnUNet_raw/DatasetNNN_NAME; or to go on in."
        ),
    ],
    chain: options.ChainOptions,
    min_score: Annotated[
        float,
        typer.Option(
            "--min-score",
            min=0,
            max=1,
            help="Mean of the segmenter's own score from which a label is kept.",
            rich_help_panel=_GATE,
        ),
    ] = 0.5,
    min_agreement: Annotated[
        float,
        typer.Option(
            "--min-agreement",
            min=0,
            max=1,
            help="Mean Dice between the wordings of a prompt from which its label is kept.",
            rich_help_panel=_GATE,
        ),
    ] = 0.5,
    patients: Annotated[
        Path | None,
        typer.Option("--patients", metavar="CSV", help="Columns study and patient, where names do not tell whose."),
    ] = None,
    quiet: options.QuietOption = False,
) -> None:
    """Make an nnU-Net dataset of pseudo-labels: prompts are labels 1, 2, ...; what is doubtful is ignored in training.

    A study on which a prompt is not found, or badly, is left out and counted. Cases that are done are not done again.
    """
    asked = chain.read_prompts()
    watch = Stopwatch(stderr(quiet=quiet))
    with watch.stage("starting", "Starting"):
        meaning, settings = chain.read_modality(), chain.read_settings()
        from ...weak.dataset import Dataset, check_labels
        from ...weak.labelling import Gate
        from ...weak.studies import find_studies

        gate, names = Gate(min_score, min_agreement), [prompt.name for prompt in asked]
        check_labels(names)
        dataset, found = Dataset(output), find_studies(studies, patients)
        check_wordings(asked, chain.clip, watch)
    models = load_models(asked, chain.clip, chain.sam, chain.device, settings, watch)
    with reserved(output):
        dataset.begin(
            {
                "prompts": asked.to_json(),
                "models": {model.name: model.checksum for model in models},
                "settings": settings.as_dict() | {"series": chain.series, "frame": chain.frame, "modality": meaning},
                "gate": {"score": gate.score, "agreement": gate.agreement},
            }
        )
        from ...weak.preparing import Preparation

        preparation = Preparation(dataset, asked, models, settings, gate)
        ahead = [study for study in found if not dataset.is_done(study)]
        if len(ahead) < len(found):
            watch.say(f"{len(found) - len(ahead)} studies were done before.")
        with watch.counted("studies", "Labelling", len(ahead)) as done:
            for study in ahead:
                _add(preparation, study, chain, watch)
                done()
        page = preparation.finish()
    if not quiet:
        _tell_prepared(dataset.left_out(), len(dataset.kept()), page)


def _add(preparation: Preparation, study: Study, chain: options.ChainOptions, watch: Stopwatch) -> None:
    import slicer

    silent = Stopwatch(stderr(quiet=True))  # a bar is shown already
    source = None
    try:
        source = read_source(study.path, chain.read_modality(), silent, chain.series, chain.frame)
        record = preparation.add(study, source.volume)
    except MedCLIPSAMError as error:  # of this study; a full disk ends the run
        record = preparation.failed(study, error)
        watch.say(f"{study.place}: {error}")
    finally:
        if source is not None:
            slicer.mrmlScene.RemoveNode(source.node)
    watch.say(f"{study.place}: {record.outcome}")


def _tell_prepared(left_out: Counter[str], kept: int, page: Path) -> None:
    out = stdout()
    out.print(Text(f"{kept} cases to learn from, {left_out.total()} studies left out."), soft_wrap=True)
    for reason, count in sorted(left_out.items()):
        out.print(Text(f"  {count} {reason}"), soft_wrap=True)
    out.print(Text(f"Look at {page}, then: medclipsam weak train {page.parent}"), soft_wrap=True)


@weak.command()
def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that `weak prepare` made.")],
    configuration: Annotated[
        str, typer.Option("--configuration", metavar="NAME", help="Of nnU-Net: 2d or 3d_fullres.")
    ] = "2d",
    fold: Annotated[
        str, typer.Option("--fold", metavar="N|all", help="Of splits_final.json; or all cases to train on.")
    ] = "all",
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Of all cycles together.")] = 250,
    cycles: Annotated[int, typer.Option("--cycles", min=1, help="Times that the learning rate starts anew.")] = 1,
    gamma: Annotated[float, typer.Option("--gamma", min=0, max=1, help="Share of a cycle in which it falls.")] = 0.5,
    rule: Annotated[
        str, typer.Option("--rule", metavar="NAME", help="Which epochs are kept: late, sparse or both.")
    ] = "both",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of an epoch.")] = 250,
    validation_steps: Annotated[int, typer.Option("--validation-steps", min=1, help="After each epoch.")] = 50,
    device: options.DeviceOption = "auto",
    quiet: options.QuietOption = False,
) -> None:
    """Train nnU-Net on a dataset, and keep snapshots; goes on where it was interrupted.

    Preprocessed files and results come beside the folder nnUNet_raw.
    """
    watch = Stopwatch(stderr(quiet=quiet))
    with watch.stage("starting", "Starting"):
        from ...engine.errors import InputError
        from ...engine.machine.device import pick_device
        from ...weak.schedule import Schedule
        from ...weak.training import CONFIGURATIONS, Trainee, Training, read_fold

        if configuration not in CONFIGURATIONS:
            raise InputError(f"--configuration {configuration!r} is unknown; use {', '.join(CONFIGURATIONS)}.")
        schedule = Schedule(epochs, cycles, gamma, cast(Any, rule))
        training = Training(cast(Any, configuration), read_fold(fold), schedule, steps, validation_steps)
        place = pick_device(device)
        trainee = Trainee(dataset, training)
    with reserved(dataset):
        with watch.stage("preprocessing", "Planning and preprocessing"):
            trainee.preprocess()
        with watch.filling("training", "Epochs", epochs) as told:
            model = trainee.train(place, told)
    if not quiet:
        stdout().print(
            Text(f"The model is in {model}; use it by: medclipsam weak predict VOLUME -m {model} -o OUT"),
            soft_wrap=True,
        )


@weak.command()
def predict(
    volume: options.VolumeArgument,
    model: Annotated[Path, typer.Option("--model", "-m", metavar="FOLDER", help="That `weak train` named.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="File to write: .seg.nrrd, .nii.gz, .mrb or .png.")
    ],
    uncertainty: Annotated[
        Path | None,
        typer.Option("--uncertainty", metavar="FILE", help="How unsure the snapshots are, in bits: .nrrd, .nii.gz."),
    ] = None,
    probability: Annotated[
        Path | None, typer.Option("--probability", metavar="FILE", help="Their mean probability: .nrrd, .nii.gz.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, max=1, help="Mean probability above which a voxel is in. Default: 0.5."),
    ] = None,
    series: Annotated[str | None, typer.Option("--series", metavar="NUMBER|TEXT", help="As of `segment`.")] = None,
    frame: Annotated[int | None, typer.Option("--frame", metavar="N", min=1, help="As of `segment`.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="As published: threshold 0.2, all its checkpoints, its score.")
    ] = False,
    device: options.DeviceOption = "auto",
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Segment by the snapshots of a trained nnU-Net together, and tell how unsure they are."""
    watch = Stopwatch(stderr(quiet=quiet))
    with watch.stage("starting", "Starting"):
        from ...engine.machine.device import pick_device
        from ...scene.files.maps import check_map
        from ...scene.files.saving import check_output, output_files
        from ...weak.environment import check_installed, set_up
        from ...weak.snapshots import Model

        place, found = pick_device(device), Model.find(model, exact=exact)
        target = check_output(output, force=force, names=found.labels)
        check_apart(volume, *output_files(target, found.labels), uncertainty, probability)
        for file in filter(None, (uncertainty, probability)):
            check_map(file, (file.name,), force=force)
        check_installed()
        set_up()
    with reserved(output, uncertainty, probability):
        source = read_source(volume, None, watch, series, frame)
        from ...scene.files.maps import check_map_grid, save_map
        from ...scene.files.saving import check_slices, save
        from ...scene.segmentation.segments import create_segmentation, write_segment

        check_slices(target, source.node)
        for file in filter(None, (uncertainty, probability)):
            check_map_grid(file, source.node)
        with watch.filling("snapshots", "Snapshots", len(found.files)) as told:
            from ...weak.predicting import predict as ask

            answer = ask(found, source.volume, place, threshold=threshold, exact=exact, told=told)
        node = create_segmentation(source.node)
        for name, mask in answer.masks.items():
            write_segment(node, source.node, mask, name)
        with watch.stage("saving", f"Saving {output.name}"):
            for file, values in ((uncertainty, answer.uncertainty), (probability, answer.probability)):
                if file is not None:
                    save_map(values, source.node, file)
            save(node, source.node, target, force=force)
    if not quiet:
        _tell_predicted(answer)


def _tell_predicted(answer: Prediction) -> None:
    for name, mask in answer.masks.items():
        stdout().print(Text(f"{name}: {np.count_nonzero(mask)} voxels"), soft_wrap=True)
    score = "none, as there is no boundary" if answer.score is None else f"{answer.score:.4g}"
    stdout().print(f"{answer.snapshots} snapshots, uncertainty along the boundary: {score}", highlight=False)
