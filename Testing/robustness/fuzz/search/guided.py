"""Readers in Python under atheris: python -m Testing.robustness.fuzz.search.guided TARGET FOLDER [OPTIONS]."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from ..damaged.dicom import dicom
from ..damaged.images import metaimage, nifti, nrrd
from ..damaged.json_documents import damaged_json
from .supervisor import address_space, enough

_PROMPTS = b"""{"version": 1, "prompts": [{"name": "liver", "wordings": ["liver"], "contrast": ["spleen"],
"instances": 2, "visual": "both", "localize": "otsu", "sensitivity": 0.75,
"points": [{"ras": [1, -2.5, 3e0], "positive": false}]}]}"""
_TABLE = b"""{"version": 1, "rows": [{"text": "kidney", "name": "Niere", "on": false, "colour": [0.5, 0.25, 1.0],
"wordings": ["ren"], "contrast": ["spleen"], "instances": 2, "visual": "both", "localize": "otsu", "sensitivity": 0.75,
"points": [{"ras": [1, 2, 3], "positive": true}], "outcome": {"found": 3, "searched": 30, "known": false,
"cancelled": true}, "accepted": [4, 7], "place": "a", "key": "b"}]}"""
_TAGS = b"""{"found": "true", "slices_found": "1", "slices_searched": "2", "slices_kept": "0", "searched": "[0, 3]",
"edited": "[1]", "models": "[{\\"role\\": \\"clip\\", \\"name\\": \\"a\\", \\"checksum\\": \\"b\\"}]", "version":
"\\"0.1\\"", "settings": "{\\"axis\\": \\"axial\\"}", "created": "\\"2026\\"", "prompt":
"{\\"version\\": 1, \\"prompts\\": [{\\"name\\": \\"a\\", \\"wordings\\": [\\"a\\"]}]}"}"""
_RECORD = b'{"source": "a", "arrived": "b", "files": {"model.safetensors": {"size": 3, "sha256": "00ff"}}}'


def _of(make: Callable, ending: str) -> list[bytes]:
    """Small files for a start, of those that `make` gives in one file."""
    cases = (make(Random(number)) for number in range(60))
    return [case.files[case.opened] for case in cases if case.opened.endswith(ending)]


def _dicom() -> list[bytes]:
    return [content for number in range(30) for content in dicom(Random(number)).files.values()]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "prompts": lambda: [_PROMPTS],
    "table": lambda: [_TABLE],
    "tags": lambda: [_TAGS],
    "names": lambda: [b'{"1": "spleen", "5": "liver"}'],
    "record": lambda: [_RECORD],
    "dicom-header": _dicom,
    "nifti-header": lambda: _of(nifti, ".nii"),
    "nrrd-header": lambda: _of(nrrd, ".nrrd"),
    "metaimage-header": lambda: _of(metaimage, ".mha"),
}
PYTHON = tuple(SEEDS)
_JSON = ("prompts", "table", "tags", "names", "record")
_WORDS = (
    '"',
    "\\\\ud800",
    "1e400",
    "NaN",
    "-1",
    "null",
    "true",
    "[[",
    "{}",
    "[]",
    '":',
    "9223372036854775808",
    "\\\\u0000",
)


def write_seeds(target: str, folder: Path) -> list[str]:
    """Puts the files that a search begins with into a folder; options of libFuzzer that suit them."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[target]()):
        (corpus / str(number)).write_bytes(seed)
    options = [str(corpus), "-max_len=4096"]
    if target in _JSON:
        words = {
            *_WORDS,
            *(f'\\"{word}\\"' for word in SEEDS[target]()[0].decode().split('"')[1::2] if word.isalnum()),
        }
        lines = sorted(word if word.startswith("\\") else word.replace('"', '\\"') for word in words)
        (folder / "words").write_text("".join(f'"{line}"\n' for line in lines), "utf-8")
        options.append(f"-dict={folder / 'words'}")
    return options


def check_of(target: str, folder: Path) -> Callable[[bytes], object]:
    """What must hold for the contents of a file of a target, which may be written into ``folder``."""
    from .. import checks

    checks = {
        "prompts": checks.check_prompts,
        "table": checks.check_table,
        "tags": checks.check_tags,
        "names": checks.check_names,
        "record": checks.record_check(folder),
        "dicom-header": partial(checks.check_series, folder),
        "nifti-header": partial(checks.check_header, folder / "image.nii"),
        "nrrd-header": partial(checks.check_header, folder / "image.nrrd"),
        "metaimage-header": partial(checks.check_header, folder / "image.mha"),
    }
    return checks[target]


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    warnings.simplefilter("ignore")
    target, folder, *options = sys.argv[1:]
    library: Any = atheris  # it carries no types
    with library.instrument_imports(include=["MedCLIPSAMLib", "pydicom", "Testing"]):
        check = check_of(target, Path(folder))
    seeds = SEEDS[target]()

    def try_one(content: bytes) -> None:
        before = address_space()
        check(content)
        if (taken := address_space() - before) > enough(target):
            raise MemoryError(f"{taken >> 20} MiB for {len(content)} bytes")

    def mutate(content: bytes, longest: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            return library.Mutate(content, longest)
        # Most documents run the same lines, so that libFuzzer forgets them: now and then it starts from a whole one.
        return damaged_json(random, random.choice([content, *seeds]))[:longest]

    own = {"custom_mutator": mutate} if target in _JSON else {}
    library.Setup([sys.argv[0], *options], try_one, **own)
    library.Fuzz()


if __name__ == "__main__":
    main()
