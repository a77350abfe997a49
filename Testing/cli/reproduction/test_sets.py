"""The published sets on disk, and what is known of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from MedCLIPSAMLib.cli.reproduction.published import Publication
from MedCLIPSAMLib.cli.reproduction.sets import find_masks, find_sets, read_pair
from MedCLIPSAMLib.engine.errors import InputError

from .conftest import ellipse_mask

SETS = {each.name: each for each in Publication.read().sets}


def test_the_settings_are_those_of_the_authors_scripts():
    assert [(each.layer, each.beta, each.seed) for each in SETS.values()] == [
        (9, 1.0, 12),
        (9, 2.0, 12),
        (7, 0.1, 42),
        (7, 0.1, 42),
    ]
    assert [each.contours for each in SETS.values()] == [1, 1, 2, 2]
    assert [each.dsc for each in SETS.values()] == [77.76, 76.52, 75.79, 80.38]


def test_masks_of_all_kinds_are_read(data):
    (found,) = find_sets(data, SETS.values())
    assert found.published.name == "breast_tumors"
    assert found.unlabelled == 1
    assert [(case.name, case.person, case.prompt) for case in found.cases] == [
        ("p1__a", "p1", "bright"),
        ("p1__b", "p1", "bright"),
        ("p2__a", "p2", "bright"),
    ]
    for case, place in zip(found.cases, ((30, 40), (60, 80), (50, 60)), strict=True):
        assert np.count_nonzero(read_pair(case)[1] != ellipse_mask(*place)) <= 20  # JPEG blurs an edge


def test_a_set_by_itself_with_other_case_and_separators(data):
    (data / "breast_tumors").rename(data / "Breast-Tumors")
    (found,) = find_sets(data / "Breast-Tumors", SETS.values())
    assert len(found.cases) == 3
    assert found.prompts is None


def test_prompts_of_a_checkout_are_found(data, tmp_path):
    place = tmp_path / "saliency_maps" / "text_prompts"
    place.mkdir(parents=True)
    (data / "breast_tumors_testing.json").rename(place / "breast_tumors_testing.json")
    (found,) = find_sets(data, SETS.values())
    assert found.cases[0].prompt == "bright"


def test_people_are_known_where_names_tell_them():
    assert SETS["lung_CT"].person_of("ID00010637202177584971671_25") == "ID00010637202177584971671"
    assert SETS["brain_tumors"].person_of("1004") == "1004"
    assert SETS["breast_tumors"].person_of("p1__a") == "p1"


def test_pictures_are_the_published_ones_only_if_their_names_are():
    names = ["b", "a"]
    published = replace(SETS["breast_tumors"], images=2, names_sha256=hashlib.sha256(b"a\nb").hexdigest())
    assert published.doubt(names) == ""
    assert "there are 1 here, and 2 there" in published.doubt(["a"])
    assert "of other names" in published.doubt(["a", "c"])
    assert "cannot be shown" in SETS["lung_CT"].doubt(names)


def test_masks_of_a_trained_model_by_set_or_alone(data, tmp_path):
    found = find_sets(data, SETS.values())
    assert set(find_masks(data / "breast_tumors" / "test_masks", found)["breast_tumors"]) == {"p1__a", "p1__b", "p2__a"}
    (tmp_path / "weak").mkdir()
    (data / "breast_tumors" / "test_masks").rename(tmp_path / "weak" / "breast_tumors")
    assert find_masks(tmp_path / "weak", found)["breast_tumors"]["p2__a"].suffix == ".jpg"
    (tmp_path / "weak" / "breast_tumors" / "p1__a.png").unlink()
    with pytest.raises(InputError, match=r"no mask of .*p1__a\.png"):
        find_masks(tmp_path / "weak", found)


def save(pixels, path):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda place: (place / "test_masks").rename(place / "truth"), "none of the published sets"),
        (lambda place: (place.parent / "breast_tumors_testing.json").write_text('{"p1__a.png": "x"}'), "p1__b.jpg"),
        (lambda place: (place.parent / "breast_tumors_testing.json").write_text("[]"), "no JSON of prompts"),
        (lambda place: (place.parent / "breast_tumors_testing.json").write_text('{"p1__a.png": 3}'), "p1__a.png is 3"),
        (lambda place: save(np.zeros((5, 6)), place / "test_masks" / "p1__a.png"), "6 x 5 pixels and"),
        (lambda place: save(np.full((96, 120), 3), place / "test_masks" / "p1__a.png"), "values up to 3"),
        (lambda place: (place / "test_images" / "p1__a.png").write_bytes(b"no picture"), "p1__a.png is damaged"),
        (lambda place: (place / "test_images" / "p1__a.jpg").write_bytes(b""), "has both p1__a"),
        (lambda place: [file.unlink() for file in (place / "test_masks").iterdir()], "has no mask of a picture"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(no_models, data, tmp_path, spoil, said):
    spoil(data / "breast_tumors")
    ended = no_models("reproduce", data, "-o", tmp_path / "out")
    assert ended.code == 2
    told = " ".join(ended.err.split())
    assert said in told
    assert "Unexpected" not in told
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(no_models, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    ended = no_models("reproduce", data, "-o", out)
    assert ended.code == 2
    assert "is not empty" in " ".join(ended.err.split())
    assert [file.name for file in out.iterdir()] == ["notes.txt"]


def test_no_folder_at_all(no_models, tmp_path):
    ended = no_models("reproduce", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert (ended.code, (tmp_path / "out").exists()) == (2, False)
    assert "is no folder" in " ".join(ended.err.split())
