"""The library of prompts: usable texts, which the built-in model understands as one thing in every style."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from MedCLIPSAMLib.engine.clip.quickstart.model import QuickStart
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt import library
from MedCLIPSAMLib.engine.prompt.library import STYLES, LibraryEntry, read_library
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.saliency import TextQuery

STRUCTURE = {
    "name": "Liver",
    "word": "liver",
    "description": "CT with the liver.",
    "ensemble": ["liver on CT", "hepatic tissue"],
    "contrast": ["spleen"],
}
DOCUMENT = {"version": 1, "modality": "CT", "region": "Abdomen", "structures": [STRUCTURE]}
ENTRIES = read_library()
EACH = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.modality} {entry.region} {entry.name}")


@pytest.fixture(scope="module")
def model() -> QuickStart:
    loaded = load_clip("quickstart", "cpu")
    assert isinstance(loaded, QuickStart)
    return loaded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Read instead of Resources/Prompts."""
    monkeypatch.setattr(library, "resource", {"Prompts": tmp_path}.__getitem__)
    return tmp_path


def meanings(model: QuickStart, entry: LibraryEntry) -> set[str | None]:
    """The terms that the entry means: its name, and its wordings in each style."""
    wordings = [(entry.name,), *(entry.prompt(style).wordings for style in STYLES)]
    return {model.vocabulary.meaning(TextQuery.encode(model, texts).target) for texts in wordings}


def test_entries_are_in_order() -> None:
    places = [(entry.modality, entry.region) for entry in ENTRIES]
    assert list(dict.fromkeys(places)) == sorted(set(places))
    assert places[0] == ("CT", "Abdomen")
    assert ENTRIES[0].name == "liver"


def test_names_are_unique_in_a_region() -> None:
    names = [(entry.modality, entry.region, entry.name.casefold()) for entry in ENTRIES]
    assert len(names) == len(set(names))


@EACH
def test_every_style_can_be_typed(entry: LibraryEntry) -> None:
    assert entry.prompt("word").wordings == (entry.word,)
    assert entry.prompt("description").wordings == (entry.description,)
    assert entry.prompt("ensemble").wordings == entry.ensemble
    assert 3 <= len(set(entry.ensemble)) <= 5
    assert len(entry.contrast) <= 3
    for style in STYLES:
        prompt = entry.prompt(style)
        assert (prompt.name, prompt.contrast) == (entry.name, entry.contrast)
        assert Prompt.parse(f"{prompt.name}={'; '.join(prompt.wordings)}").wordings == prompt.wordings


@EACH
def test_styles_mean_the_same(entry: LibraryEntry, model: QuickStart) -> None:
    understood = meanings(model, entry)
    assert len(understood) == 1
    # What the built-in model does not know must not be taken for something that it knows.
    assert (None in understood) == (entry.needs is not None)


@EACH
def test_contrast_is_something_else(entry: LibraryEntry, model: QuickStart) -> None:
    known = TextQuery.encode(model, entry.prompt("word").wordings, model.vocabulary.terms)
    rivals = model.vocabulary.rivals(known.target)
    for text in entry.contrast:
        contrast = TextQuery.encode(model, [text]).target
        if model.vocabulary.meaning(contrast) is not None:
            assert (rivals @ contrast).max() == pytest.approx(float((known.contrast @ contrast).max()), abs=1e-5), text


def test_the_built_in_model_is_covered(model: QuickStart) -> None:
    covered = set().union(*(meanings(model, entry) for entry in ENTRIES if entry.needs is None))
    assert covered == set(model.vocabulary.terms) - {"background"}


def test_an_entry_is_read_as_written(folder: Path) -> None:
    brain = STRUCTURE | {"name": "Brain tumour", "contrast": [], "needs": "BiomedCLIP"}
    (folder / "a.json").write_text(json.dumps(DOCUMENT | {"modality": "MR", "region": "Head", "structures": [brain]}))
    (folder / "b.json").write_text(json.dumps(DOCUMENT))
    ensemble = ("liver on CT", "hepatic tissue")
    assert read_library() == (
        LibraryEntry("CT", "Abdomen", "Liver", "liver", "CT with the liver.", ensemble, ("spleen",), None),
        LibraryEntry("MR", "Head", "Brain tumour", "liver", "CT with the liver.", ensemble, (), "BiomedCLIP"),
    )


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "must be a JSON object"),
        ({"version": 1}, "lacks 'modality'"),
        (DOCUMENT | {"version": 2}, "has version 2"),
        (DOCUMENT | {"version": True}, "has version True"),
        (DOCUMENT | {"modality": "PET"}, "has the modality 'PET'; use CT or MR"),
        (DOCUMENT | {"modality": ["CT"]}, "has the modality"),
        (DOCUMENT | {"region": " "}, "the region is empty"),
        (DOCUMENT | {"author": "me"}, "unknown key 'author'"),
        (DOCUMENT | {"structures": {}}, "the structures must be a list, not dict"),
        (DOCUMENT | {"structures": ["liver"]}, "structure 1 must be a JSON object"),
        (DOCUMENT | {"structures": [STRUCTURE, STRUCTURE | {"name": "LIVER"}]}, "two structures named 'LIVER'"),
    ],
)
def test_malformed_files_are_refused(folder: Path, document: Any, complaint: str) -> None:
    (folder / "mine.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf"'mine\.json'.*{complaint}"):
        read_library()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": 3}, "'name' is 3; give text"),
        ({"word": ""}, "'word' is empty"),
        ({"description": "a" * 301}, "'description' has 301 characters"),
        ({"ensemble": "liver"}, "'ensemble' must be a list, not str"),
        ({"ensemble": []}, "no wording in 'ensemble'"),
        ({"contrast": ["sple\nen"]}, "a text of 'contrast' has control characters"),
        ({"needs": None}, "'needs' is None; give text"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_malformed_structures_are_refused(folder: Path, fields: dict[str, Any], complaint: str) -> None:
    (folder / "mine.json").write_text(json.dumps(DOCUMENT | {"structures": [STRUCTURE | fields]}))
    with pytest.raises(InputError, match=rf"'mine\.json': structure 1.*{complaint}"):
        read_library()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{", b"[" * 100_000])
def test_what_is_not_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "mine.json").write_bytes(content)
    with pytest.raises(InputError, match=r"'mine\.json' cannot be read as JSON"):
        read_library()
