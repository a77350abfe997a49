"""The second look of the built-in model: its files, what it understands, and that it finds what the first cannot."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.clip.quickstart.model import QuickStart, known_terms, load_quickstart
from MedCLIPSAMLib.engine.clip.quickstart.second_look import SecondLook
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.files.resources import resource
from MedCLIPSAMLib.engine.saliency import TextQuery
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.volume import MODALITIES

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def second() -> SecondLook:
    return load_quickstart(CPU).second_look()


def test_belongs_to_the_built_in_segmenter(second):
    assert second.about.segmenter == load_segmenter("lite-medsam", "cpu").checksum


def test_answers_what_the_first_look_does_not_know_or_finds_worse(second):
    first = load_quickstart(CPU)
    known = set(first.vocabulary.terms)
    assert second.about.answers.keys() - known, "what nobody else finds"
    assert set(known_terms()) == second.about.answers.keys() | known
    assert second.about.confirms <= known
    for term, modalities in second.about.answers.items():
        meant = first.vocabulary.meaning(TextQuery.encode(first, [term]).target)
        assert meant == (term if term in known else None), term
        assert second.vocabulary.meaning(TextQuery.encode(second, [term]).target) == term
        assert modalities <= set(MODALITIES)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("lower jaw", "mandible"),
        ("segment the left ventrical", "left ventricle"),
        ("nodule in the breast", "breast lesion"),
        ("intervertebral disk space", "intervertebral disc"),
        ("carburettor", None),
        ("bicycle", None),
        ("kidney stone", None),
    ],
)
def test_says_which_of_its_terms_a_text_means(second, text, term):
    assert second.vocabulary.meaning(TextQuery.encode(second, [text]).target) == term


def test_keeps_little_of_a_slice_and_gives_directions(second):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(2, 256, 64, 64))).half()
    pictures = rng.integers(0, 255, (2, 256, 256)).astype(np.uint8)
    both = second.look(features, pictures)
    (alone,) = second.look(features[:1], pictures[:1])
    assert sum(tensor.nbytes for tensor in alone.values()) < 1.2e6
    assert torch.allclose(both[0]["cells"].float(), alone["cells"].float(), atol=0.05)
    picture, cells = second.features(alone)
    assert cells.shape == (second.dense_grid**2, 128)
    assert torch.allclose(cells.norm(dim=1), torch.ones(()), atol=1e-3)
    assert picture.norm() == pytest.approx(1, abs=1e-2)


def test_a_text_without_a_letter_is_refused(second):
    with pytest.raises(InputError, match="cannot read"):
        second.encode_text(["   "])


@pytest.mark.parametrize("name", ["second.safetensors", "second.json", "second-tokenizer.json"])
@pytest.mark.parametrize("missing", [True, False])
def test_damaged_files_are_told(tmp_path, name, missing):
    folder = shutil.copytree(resource("QuickStart"), tmp_path / "model")
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if not missing:
        (folder / name).write_bytes(whole[:100])
    with pytest.raises(ModelError, match=r"(?i)damaged|cannot be read|missing|no such"):
        QuickStart(folder, CPU).second_look()
