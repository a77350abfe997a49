"""From what people have on a stick to a model in the store: a file, a folder, a hub's cache, or a zip of these."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from torch import Tensor

from ..clip.folder import (
    BERT_CONFIGS,
    BERTS,
    HUGGING_FACE_CONFIG,
    HUGGING_FACE_INDEXES,
    HUGGING_FACE_WEIGHTS,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    PREPROCESSING,
    WEIGHTS,
    find_bert,
)
from ..clip.regional import REGIONAL
from ..clip.shards import parts
from ..errors import ModelError
from ..files.checksum import sha256
from ..machine.locking import reserved
from ..machine.temporary import temporary_folder
from .catalogue import Entry, find_entry
from .own import CARD, own_entries, own_files
from .recognise import check_numbers, in_hub_layout, model_of, models_of, read_checkpoint
from .store import Store

_TOKENIZER = ("tokenizer.json", "vocab.txt")  # either will do
_BESIDE = ("special_tokens_map.json", "tokenizer_config.json", "merges.txt", "vocab.json", *PREPROCESSING, *_TOKENIZER)


def import_model(path: Path, store: Store, name: str | None = None) -> Entry:
    """Puts a model into the store.

    Args:
        path: weights alone (.safetensors, .bin, .pth, .pt, .ckpt), a folder as the hub gives it or caches it, or a zip
            file of either.
        name: which model of the catalogue it is, where two have the same tensors, such as SAM ViT-B and MedSAM; None
            leaves that to `model_of`.

    Raises:
        ModelError: it is no model of the catalogue, another than ``name``, or built in, files are missing or damaged,
            the store cannot be written, or another program is at work on the model.
    """
    with _opened(path) as found:
        if cards := sorted(found.rglob(CARD)) if found.is_dir() else ():
            return _import_own(cards[0].parent, path, store, name)
        if name is not None:
            find_entry(name)
        weights = found if found.is_file() else _weights_in(found, path)
        state = read_checkpoint(weights)
        check_numbers(state, str(weights.name))
        entry = _which(path, weights, state, name)
        if entry.name not in REGIONAL and weights.name in HUGGING_FACE_INDEXES:
            raise ModelError(f"'{path}' has {entry.title} in several parts, which are not read: save it as one file.")
        if entry.role == "segmenter":
            # The publisher's file, with its checksum, is of the other layout.
            published = () if in_hub_layout(state) else entry.files
            files = {next(iter(published), f"{entry.name}{weights.suffix}"): weights}
        elif entry.name in REGIONAL:
            files = _regional_files(entry, weights, state, path)
        else:
            files = _clip_files(entry, weights, path)
        store.add(entry, files, path.name)
    return entry


def _import_own(folder: Path, path: Path, store: Store, name: str | None) -> Entry:
    """A model that was made on own data, under the name that it was given there."""
    entry, files = own_files(folder)
    if name not in (None, entry.name):
        raise ModelError(f"'{path}' is {entry.name}, not {name}: leave out --as.")
    there = store.checksums(entry.name) if entry.name in own_entries() else None
    if there is not None and there != {file: sha256(place) for file, place in files.items()}:
        raise ModelError(
            f"The store has another model named {entry.name}: remove that one, or train this one with another --name."
        )
    store.add(entry, files, path.name)
    return entry


def export_model(name: str, store: Store, path: Path) -> None:
    """Writes a zip file with a model of the store, for `import_model` on another computer.

    Raises:
        ModelError: the model is not ready, or another program changes it meanwhile; or the file does not end in .zip,
            is there already, cannot be written, or is being written by another program.
    """
    checksums = store.checksums(name)
    if path.suffix.lower() != ".zip":  # `import_model` takes other endings for weights
        raise ModelError(f"'{path}' does not end in .zip, which an import needs: choose a name that does.")
    store.verify(name)
    if not path.parent.is_dir():
        raise ModelError(f"The folder '{path.parent}' does not exist: create it first.")
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with reserved(path, ModelError(f"Another program is writing '{path}': choose another name.")):
            try:
                if path.exists():
                    raise ModelError(f"'{path}' exists: choose another name.")
                _pack(store.files(name), name, unfinished)
                if store.checksums(name) != checksums:  # a shared store has no lock that readers could take
                    raise ModelError(f"Another program has changed {find_entry(name).title}: export it again.")
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be written ({error.strerror}): choose another place.") from None


def _pack(files: Mapping[str, Path], name: str, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # weights do not get smaller
        for file, place in files.items():
            archive.write(place, f"{name}/{file}")


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    """A file of weights, or a folder, which for a zip file is temporary."""
    if not path.exists():
        raise ModelError(f"There is nothing at '{path}': check the path.")
    # PyTorch's own files are zip files, too.
    if path.is_dir() or path.suffix.lower() in WEIGHTS or not zipfile.is_zipfile(path):
        yield path
        return
    with temporary_folder() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, folder, path)
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
            raise ModelError(f"'{path}' cannot be unpacked ({error}): copy the file again.") from None
        yield folder


def _unpack(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    members = archive.infolist()
    for member in members:
        place = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
        if place.is_absolute() or ".." in place.parts or ":" in member.filename or is_link:
            raise ModelError(f"'{path}' is refused: '{member.filename}' in it would be written outside of its folder.")
    needed = sum(member.file_size for member in members)
    if needed > shutil.disk_usage(folder).free:
        raise ModelError(f"'{path}' needs {needed / 1e6:.0f} MB to be unpacked: free some space.")
    archive.extractall(folder, members)


def _weights_in(folder: Path, path: Path) -> Path:
    """The weights in a folder or in its only nested one, as a hub's cache has them."""
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in WEIGHTS and file.is_file())
    encoders = [file for file in found if str(file.relative_to(folder)).replace("\\", "/").endswith(BERTS)]
    if len(encoders) < len(found):  # else a folder that is called bert is meant itself
        found = [file for file in found if file not in encoders]
    preferred = [file for file in found if file.name in (*OPEN_CLIP_WEIGHTS, *HUGGING_FACE_WEIGHTS)]
    preferred += [file for file in sorted(folder.rglob("*.json")) if file.name in HUGGING_FACE_INDEXES]
    # Of the same model in two formats, the one that cannot hold code.
    chosen = sorted(preferred or found, key=lambda file: ".safetensors" not in file.name)
    if not chosen:
        raise ModelError(f"'{path}' has no weights ({', '.join(WEIGHTS)}): choose the folder of a model.")
    if len({file.parent for file in chosen}) > 1:
        raise ModelError(f"'{path}' has several models: choose the folder of one of them.")
    if not preferred and len(chosen) > 1:
        raise ModelError(f"'{path}' has several files of weights: choose one of them.")
    return chosen[0]


def _which(path: Path, weights: Path, state: Mapping[str, Tensor], name: str | None) -> Entry:
    possible = models_of(state)
    if not possible:
        raise ModelError(f"'{path}' is no model of the catalogue: its tensors are those of another program.")
    if name is not None and name not in possible:
        raise ModelError(
            f"'{path}' is {' or '.join(possible)}, not {name}: leave out --as, or choose the files of {name}."
        )
    entry = find_entry(name or model_of(state, weights, path))
    if entry.built_in:
        raise ModelError(f"'{path}' is {entry.title}, which is built in: there is nothing to import.")
    return entry


def _regional_files(entry: Entry, weights: Path, state: Mapping[str, Tensor], path: Path) -> dict[str, Path]:
    """The weights under their own name, which may tell the size of pictures, the tokenizer, and a text encoder."""
    from ..clip.regional import hub
    from ..clip.regional.reading import Checkpoint

    from_hub = hub.in_hub_layout(state)
    folder = weights.parent
    files = {file.name: file for file in (weights, *parts(weights))}
    encoder = find_bert(folder)
    if encoder is not None:
        files[f"bert{encoder.suffix}"] = encoder
    places = [folder] if encoder is None else [folder, encoder.parent]
    for place in places:
        config = next((place / name for name in BERT_CONFIGS if (place / name).is_file()), None)
        if config is not None and not from_hub:
            files[BERT_CONFIGS[0]] = config
        files |= {file: place / file for file in _BESIDE if (place / file).is_file()}
    missing = [] if any(file in files for file in _TOKENIZER) else [" or ".join(_TOKENIZER)]
    if entry.name == "medklip" and encoder is None:
        missing.append(f"{BERTS[1]} or {BERTS[0]} (its text encoder, Bio_ClinicalBERT)")
    if from_hub and not (folder / HUGGING_FACE_CONFIG).is_file():
        missing.append(HUGGING_FACE_CONFIG)
    if missing:
        raise ModelError(
            f"'{path}' has the weights of {entry.title}, but beside them is no {' and no '.join(missing)}: "
            "put that into their folder and import the folder."
        )
    if from_hub:
        hub.check_beside(Checkpoint(weights, state))
        files[HUGGING_FACE_CONFIG] = folder / HUGGING_FACE_CONFIG
    return files


def _clip_files(entry: Entry, weights: Path, path: Path) -> dict[str, Path]:
    """The weights and what belongs to them, by the names that the loaders look for."""
    folder = weights.parent
    hugging_face = weights.name in HUGGING_FACE_WEIGHTS or not (folder / OPEN_CLIP_CONFIG).is_file()
    config = HUGGING_FACE_CONFIG if hugging_face and (folder / HUGGING_FACE_CONFIG).is_file() else OPEN_CLIP_CONFIG
    known = HUGGING_FACE_WEIGHTS if config == HUGGING_FACE_CONFIG else OPEN_CLIP_WEIGHTS
    safe = weights.suffix == ".safetensors"
    standard = next(file for file in known if file.endswith(".safetensors") == safe)
    files = {weights.name if weights.name in known else standard: weights}
    missing = [] if (folder / config).is_file() else [config]
    if entry.name != "clip-vit-b-16" and not any((folder / file).is_file() for file in _TOKENIZER):
        missing.append(" or ".join(_TOKENIZER))
    if missing:
        raise ModelError(
            f"'{path}' has the weights of {entry.title}, but beside them is no {' and no '.join(missing)}: "
            "import the whole folder of the model."
        )
    return files | {file: folder / file for file in (config, *_BESIDE) if (folder / file).is_file()}
