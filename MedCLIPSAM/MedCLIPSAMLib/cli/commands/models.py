"""`medclipsam models`: what can be used on this computer, and how it gets here; only `download` asks the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ...engine.errors import InputError, ModelError
from ...engine.models.catalogue import Entry, Role, catalogue, entries, find_entry
from ...engine.models.location import VARIABLE, choose_default, choose_folder, chosen_folder, folders_of_environment
from ...engine.models.store import Store
from ..console import stderr, stdout
from ..progress import Stopwatch

models = typer.Typer(help="The models that can be used.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as `models list` names it.")]


@models.command("list")
def list_models() -> None:
    """List the models for --clip and --sam: what each is, its size, and whether it is here."""
    store = Store()
    titles: dict[Role, str] = {"clip": "Text-image models: --clip", "segmenter": "Segmenters: --sam"}
    for role, title in titles.items():
        table = Table("Name", "What it is", "Size", "State", title=title, title_justify="left", expand=True)
        for entry in entries(role):
            cells = (entry.name, entry.title, f"{entry.megabytes} MB", store.state(entry))
            table.add_row(*map(Text, cells))
        if role == "clip":
            for name in _open_clips():
                table.add_row(*map(Text, (name, "open_clip model", "", "on this computer")))
        stdout().print(table)
    _tell("What is not installed comes by: medclipsam models download NAME, or: medclipsam models import PATH")
    stdout().print("--clip takes the FOLDER of a model, too, and --sam NAME:FILE or FILE.", highlight=False)


@models.command()
def info(name: Name) -> None:
    """Tell what a model is for, its licence, what to cite, and where it comes from."""
    from ...engine.clip.registry import known_terms

    entry = find_entry(name)
    state = Store().state(entry)
    table = Table.grid(padding=(0, 2))
    for what, value in (
        ("name", entry.name),
        ("title", entry.title),
        ("purpose", entry.purpose),
        ("knows", ", ".join(known_terms(name) or ()) or "free text" if entry.role == "clip" else "boxes and points"),
        ("size", f"{entry.megabytes} MB"),
        ("licence", entry.license),
        ("cite", entry.citation),
        ("source", entry.source),
        ("state", state),
        ("SHA-256", _checksums(entry)),
    ):
        table.add_row(what, Text(value))
    stdout().print(table)
    if state == "not installed":
        _tell(f"Type: medclipsam models {entry.installed_by}")


@models.command()
def download(name: Name) -> None:
    """Fetch a model from its publisher into the store; goes on where it was interrupted."""
    from ...engine.models.download import download_model

    entry = find_entry(name)
    columns = TextColumn(entry.title), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr()) as bar:
        task = bar.add_task(entry.title, total=entry.megabytes * 1_000_000)
        download_model(name, Store(), lambda here, total: bar.update(task, completed=here, total=total))
    _tell_stored(entry)


@models.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Weights, a folder of the hub, or a zip of either.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Which model it is, where two have the same tensors.")
    ] = None,
) -> None:
    """Put a model from this computer or a stick into the store."""
    from ...engine.models.importing import import_model

    with Stopwatch(stderr()).stage("importing", f"Importing {path.name}"):
        entry = import_model(path, Store(), name)
    _tell_stored(entry)


@models.command()
def export(name: Name, path: Annotated[Path, typer.Argument(metavar="FILE.zip", help="A new file.")]) -> None:
    """Write a model of the store into a zip file, to carry to a computer without a network."""
    from ...engine.models.importing import export_model

    with Stopwatch(stderr()).stage("exporting", f"Writing {path.name}"):
        export_model(name, Store(), path)
    stdout().print(f"{path} is written; on the other computer: medclipsam models import {path.name}", highlight=False)


@models.command()
def verify(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="All models that are here if not given.")] = None,
) -> None:
    """Compare every file with its checksum, and load the models once."""
    from ...engine.models.built_in import verify_built_in

    store, damaged = Store(), []
    here = [entry for entry in catalogue().values() if store.state(entry) != "not installed"]
    chosen = [find_entry(name)] if name else here
    for entry in chosen:
        try:
            with Stopwatch(stderr()).stage("verifying", f"Verifying {entry.title}"):
                if entry.built_in:
                    verify_built_in(entry)
                else:
                    store.verify(entry.name)
                _load(entry)
            stdout().print(f"{entry.name}: as it should be", highlight=False)
        except ModelError as error:
            damaged.append(str(error))
    if damaged:
        raise ModelError(" ".join(damaged))


def _load(entry: Entry) -> None:
    """Raises ModelError for a model that came whole, and lacks tensors."""
    from ...engine.clip import registry as clips
    from ...engine.sam import registry as segmenters

    load = clips.load_clip if entry.role == "clip" else segmenters.load_segmenter
    load(entry.name, "cpu")


@models.command()
def remove(name: Name) -> None:
    """Delete a model from the store."""
    Store().remove(name)
    stdout().print(f"{name} is removed.", highlight=False)


@models.command()
def path(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The store itself if not given.")] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--set", metavar="FOLDER", help="Keep models there from now on, in 3D Slicer, too; it is made if missing."
        ),
    ] = None,
    default: Annotated[bool, typer.Option("--reset", help="Keep models in the user's data folder again.")] = False,
) -> None:
    """Print the folder of a model, or of the store; or choose another one for the store."""
    if (name is not None) + (folder is not None) + default > 1:
        raise InputError("NAME, --set and --reset exclude one another: give one of them.")
    if folder is None and not default:
        store = Store()
        print(store.folder(name) if name else store.folders[0])
        return
    if default:
        choose_default()
    elif folder:
        choose_folder(Path(folder))
    else:
        raise InputError("--set has no folder: name one, or give --reset for the user's data folder.")
    _tell(f"Models are kept in {chosen_folder()} from now on; those in the former folder stay there.")
    if overriding := folders_of_environment():
        _tell(f"But the environment variable {VARIABLE} comes first: while it is set, it is {overriding[0]}.")


def _checksums(entry: Entry) -> str:
    from ...engine.files.checksum import sha256
    from ...engine.models.built_in import built_in_weights

    if entry.built_in:
        return "\n".join(f"{file.name}: {sha256(file)}" for file in built_in_weights(entry))
    store = Store()
    known = store.checksums(entry.name) if store.state(entry) == "ready" else entry.sha256
    return "\n".join(f"{file}: {value}" for file, value in known.items()) or "recorded when it arrives"


def _tell(sentence: str) -> None:
    stdout().print(Text(sentence), soft_wrap=True)


def _tell_stored(entry: Entry) -> None:
    option = "--clip" if entry.role == "clip" else "--sam"
    stdout().print(f"{entry.title} is ready: {option} {entry.name}", highlight=False)


def _open_clips() -> list[str]:
    from ...engine.clip.registry import CLIPS, list_clips

    with Stopwatch(stderr()).stage("looking", "Looking for models"):
        return [name for name in list_clips() if name not in CLIPS]
