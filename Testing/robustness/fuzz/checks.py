"""What must hold for every input, whatever it is: something valid, or one sentence that says what is wrong."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from MedCLIPSAMLib.engine.errors import InputError, MedCLIPSAMError, ModelError
from MedCLIPSAMLib.engine.evaluate import label_names
from MedCLIPSAMLib.engine.models import store
from MedCLIPSAMLib.engine.prompt.prompt import Prompt, PromptSet
from MedCLIPSAMLib.panel.rows import Outcome, Row, Rows

LONGEST = 2000  # characters of a message; paths and names are part of it


class Fault(AssertionError):
    """A reader did what it must not do."""


def require(holds: object, what: str) -> None:
    """Asserts, also where Python leaves out assertions."""
    if not holds:
        raise Fault(what)


def can_be_printed(text: str) -> bool:
    """Whether it is one line, without control characters and halves of surrogate pairs."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def check_message(error: MedCLIPSAMError) -> None:
    """One sentence that can be printed."""
    message = str(error)
    require(message.endswith("."), f"no sentence: {message[:200]!r}")
    require(can_be_printed(message), f"not one line of text: {message[:200]!r}")
    require(len(message) <= LONGEST, f"a message of {len(message)} characters: {message[:200]!r}")


def check_prompts(text: bytes | str) -> bool:
    """A prompt set that goes there and back, or an InputError; True if it was taken."""
    try:
        prompts = PromptSet.from_json(text)
    except InputError as error:
        check_message(error)
        return False
    require(PromptSet.from_json(prompts.to_json().encode()) == prompts, "the set is another one when it was written")
    for prompt in prompts:
        _check_prompt(prompt)
    return True


def _check_prompt(prompt: Prompt) -> None:
    texts = (prompt.name, *prompt.wordings, *prompt.contrast, prompt.localize or "kmeans")
    require(all(isinstance(text, str) and can_be_printed(text) for text in texts), f"no texts: {prompt!r:.200}")
    hash(prompt)


def check_table(text: bytes | str) -> bool:
    """A table whose rows can be shown and used, whatever the text is; True if it has rows."""
    rows = Rows.from_json(text if isinstance(text, str) else text.decode("utf-8", "replace"))
    require(Rows.from_json(rows.to_json()) == rows, "the table is another one when it was written")
    require(len({row.key for row in rows.rows}) == len(rows), "two rows of one key")
    for row in rows.rows:
        _check_row(row)
    try:
        rows.prompts()
    except InputError as error:
        check_message(error)
    return bool(rows.rows)


def _check_row(row: Row) -> None:
    require(
        all(type(each) is str for each in (row.text, row.name, row.visual, row.place, row.key)),
        f"no texts: {row!r:.200}",
    )
    require(all(type(each) is str for each in (*row.wordings, *row.contrast)), f"no texts: {row!r:.200}")
    require(type(row.on) is bool, f"neither on nor off: {row!r:.200}")
    require(row.localize is None or type(row.localize) is str, f"no localisation: {row!r:.200}")
    require(all(type(number) is int for number in row.accepted), f"no numbers: {row!r:.200}")
    if row.colour is not None:
        require(len(row.colour) == 3 and all(0 <= part <= 1 for part in row.colour), f"no colour: {row!r:.200}")
    if row.outcome is not None:
        kinds = {"found": int, "searched": int, "known": bool, "cancelled": bool, "judged": bool}
        values = {each.name: getattr(row.outcome, each.name) for each in fields(Outcome)}
        require(all(type(value) is kinds[name] for name, value in values.items()), f"no outcome: {row!r:.200}")


def check_tags(text: bytes | str) -> bool:
    """Provenance that goes there and back, or none; True if the tags were taken. The text is a JSON object of tags."""
    from MedCLIPSAMLib.scene.segmentation.provenance import Provenance

    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(tags, dict):
        return False
    try:
        made = Provenance.from_tags({f"MedCLIPSAM.{name}": str(value) for name, value in tags.items()})
    except ValueError:
        return False
    require(Provenance.from_tags(made.to_tags()).to_tags() == made.to_tags(), "other tags when they were written")
    _check_prompt(made.prompt)
    require(made.found is None or type(made.found) is bool, f"neither found nor not: {made.found!r:.200}")
    numbers = (made.slices_found, made.slices_searched, made.slices_kept, *made.edited, *(made.searched or ()))
    require(all(type(number) is int for number in numbers), f"no numbers: {numbers!r:.200}")
    require(made.searched is None or len(made.searched) == 2, f"no range: {made.searched!r:.200}")
    texts = (
        made.version,
        made.created,
        *(text for each in made.models for text in (each.role, each.name, each.checksum)),
    )
    require(all(type(text) is str for text in texts), f"no texts: {texts!r:.200}")
    require(isinstance(made.settings, dict), f"no settings: {made.settings!r:.200}")
    return True


def check_names(text: bytes | str) -> bool:
    """Names of labels that an array of voxels may hold, or an InputError; True if they were taken."""
    try:
        names = label_names(text)
    except InputError as error:
        check_message(error)
        return False
    require(all(abs(value) < 2**63 for value in names), "a label that no voxel can have")
    require(all(can_be_printed(name) and name.strip() for name in names.values()), f"no names: {names!r:.200}")
    return True


def record_check(folder: Path) -> Callable[[bytes], bool]:
    """A check of the record beside a model of the store, which it writes into ``folder``."""

    def check(text: bytes) -> bool:
        (folder / "medclipsam.json").write_bytes(text)
        try:
            files = store._files(folder)
        except ModelError as error:
            check_message(error)
            return False
        for name, kept in files.items():
            require(type(name) is str and name not in ("", ".", ".."), f"no file: {name!r}")
            require(type(kept["size"]) is int and type(kept.get("sha256")) is str, f"no record: {kept!r:.200}")
        return True

    return check


def check_checkpoint(path: Path) -> bool:
    """Tensors by name that are all in the file, or a ModelError; True if they were read."""
    import torch

    from MedCLIPSAMLib.engine.files.weights import read_state_dict

    try:
        state = read_state_dict(path)
    except ModelError as error:  # not of too little memory: no file here is large
        check_message(error)
        return False
    size = path.stat().st_size
    for name, tensor in state.items():
        require(type(name) is str, f"no name: {name!r:.200}")
        require(tensor.device.type == "cpu" and tensor.layout == torch.strided, f"{tensor.device}, {tensor.layout}")
        claimed = tensor.numel() * tensor.element_size()
        require(claimed <= size, f"a tensor of {claimed} bytes from a file of {size}")
        tensor.clone()
    return True


def check_series(folder: Path, content: bytes) -> bool:
    """`find_series` on a folder of one file: a series of that file, or an InputError; True if it was taken."""
    from MedCLIPSAMLib.scene.dicom.series import Pictures, find_series

    file = folder / "0.dcm"
    file.write_bytes(content)
    try:
        series = find_series(folder)
    except InputError as error:
        check_message(error)
        return False
    require(series.name.isprintable(), f"no name: {series.name!r}")
    if isinstance(series, Pictures):
        require(series.files == (file,), f"other files: {series.files}")
        return True
    require({each.image.file for each in series.slices} == {file}, f"other files than {file}")
    require(np.isfinite(series.grid.ijk_to_ras).all(), f"no grid: {series.grid}")
    require(0 < series.grid.count <= 1 << 16, f"a volume of {series.grid.count} slices")
    return True


def check_header(path: Path, content: bytes) -> bool:
    """What a header claims is in the file, or ValueError, KeyError or InputError; True if all is there."""
    from MedCLIPSAMLib.scene.files.contents import check_contents
    from MedCLIPSAMLib.scene.volumes import FORMATS

    path.write_bytes(content)
    try:
        check_contents(path, FORMATS[path.suffix].stored_voxels(path))
    except InputError as error:
        check_message(error)
        return False
    except (ValueError, KeyError):
        return False
    return True
