"""Interval, scores and the ledger of results, each by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from surface_distance import compute_dice_coefficient, compute_surface_dice_at_tolerance, compute_surface_distances

from MedCLIPSAMLib.cli.reproduction.bootstrap import interval
from MedCLIPSAMLib.cli.reproduction.ledger import ONE, OWN, WEAK, Ledger, Result
from MedCLIPSAMLib.cli.reproduction.published import Publication
from MedCLIPSAMLib.cli.reproduction.running import judge_weak, prepare
from MedCLIPSAMLib.cli.reproduction.sets import find_sets
from MedCLIPSAMLib.cli.reproduction.summary import summarise
from MedCLIPSAMLib.engine.errors import InputError

from .conftest import ellipse_mask


def test_the_interval_of_a_share_is_that_of_the_binomial():
    values = [0.0, 1.0] * 50
    low, high = interval(values, list(map(str, range(100)))) or (0, 0)
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


def test_people_are_drawn_not_pictures():
    values = list(np.random.default_rng(0).random(10))
    by_people = interval(np.repeat(values, 9).tolist(), np.repeat(list("abcdefghij"), 9).tolist())
    assert by_people == pytest.approx(interval(values, list("abcdefghij")))
    assert interval(values, ["one"] * 10) is None
    assert interval([0.3, 0.3], ["a", "b"]) == (0.3, 0.3)


def test_scores_are_as_published(data, tmp_path):
    (found,) = find_sets(data, Publication.read().sets)
    asked = prepare(found, lambda: None)
    drawn = ellipse_mask(33, 44)
    Image.fromarray(drawn.astype(np.uint8)).save(tmp_path / "drawn.png")
    masks = {case.name: tmp_path / "drawn.png" for case in found.cases}
    (result, *_) = judge_weak(asked, masks, 2)
    truth = ellipse_mask(30, 40)
    distances = compute_surface_distances(truth[..., None], drawn[..., None], (1, 1, 1))
    assert result.dice == pytest.approx(compute_dice_coefficient(truth, drawn))
    assert result.nsd == pytest.approx(compute_surface_dice_at_tolerance(distances, 2))
    outlines = compute_surface_distances(truth, drawn, (1, 1))
    assert result.outline_nsd == pytest.approx(compute_surface_dice_at_tolerance(outlines, 2))
    assert 0.1 < (result.outline_nsd or 0) < (result.nsd or 0) < 1


def result(image: str, dice: float | None, way: str = OWN) -> Result:
    return Result("breast_tumors", way, image, image, 'a, "b"', dice, dice, dice, dice != 0, "c")


def test_a_row_leaves_out_what_has_no_pixel(data):
    (found,) = find_sets(data, Publication.read().sets)
    row = summarise(found, ONE, [result("a", 0.5), result("b", 0.0), result("c", None)])
    assert (row.images, row.people, row.without_pixels, row.not_found) == (3, None, 1, 1)
    assert (row.dsc, row.nsd, row.published_dsc) == (25, 25, 77.76)
    assert row.dsc_interval == (0, 50)
    assert summarise(found, WEAK, [result("a", 0.5)]).published_dsc is None


def test_an_unfinished_line_does_not_count(tmp_path):
    path = tmp_path / "results.csv"
    ledger = Ledger(path)
    ledger.add(result("first", 0.1 + 0.2))
    ledger.add(result("empty", None))
    whole = path.read_bytes()
    path.write_bytes(whole + b'breast_tumors,own prompts,third,"a, ""')
    again = Ledger(path)
    assert list(again.results.values()) == [result("first", 0.1 + 0.2), result("empty", None)]
    assert path.read_bytes() == whole
    again.add(result("third", 0.0))
    assert len(Ledger(path).results) == 3


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\xff\n"])
def test_another_file_is_no_ledger(tmp_path: Path, text: str):
    (tmp_path / "results.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="damaged"):
        Ledger(tmp_path / "results.csv")
