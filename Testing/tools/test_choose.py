"""For which terms the second look is asked and which it confirms, by made-up measurements."""

from __future__ import annotations

from typing import Any

from quickstart.closer.choose import answered, confirmed


def row(
    present: bool, first: float | None, second: float, *, dice: tuple[float, float] = (0.0, 0.0), source: str = "a"
) -> dict[str, Any]:
    """A slice of an MR: the scores of both looks (None: it does not know the term), and their Dice where it is."""
    looks = {
        name: None if score is None else {"score": score, "found": score >= 0.5, "dice": overlap}
        for name, score, overlap in zip(("first", "second"), (first, second), dice, strict=True)
    }
    return {"source": source, "term": "brain", "modality": "MR", "present": present, "drawn": present, **looks}


WITHOUT = [row(False, 0.9, 0.05)] * 6


def test_a_doubt_that_takes_claims_away_and_costs_nothing_is_heard():
    assert confirmed([row(True, 0.9, 0.9)] * 4 + WITHOUT) == ["brain"]


def test_what_a_doubt_costs_is_told_by_slices_too_that_the_first_look_missed():
    missed = [row(True, 0.1, 0.9)] * 4
    assert confirmed(missed + WITHOUT) == ["brain"]
    assert confirmed(missed[:3] + WITHOUT) == [], "three slices are too few"
    blind = [row(True, 0.1, 0.05)] * 2
    assert confirmed(missed + blind + WITHOUT) == [], "six claims are not worth two structures"
    assert confirmed(missed + blind[:1] + WITHOUT) == ["brain"]


def test_no_doubt_is_heard_of_what_only_one_look_knows():
    assert confirmed([row(True, None, 0.9)] * 4 + [row(False, None, 0.05)] * 6) == []


def test_the_look_that_does_better_answers():
    better, alike = (0.2, 0.7), (0.65, 0.7)
    assert answered([row(True, 0.4, 0.9, dice=better)] * 4 + WITHOUT) == {"brain": ["MR", "other"]}
    assert answered([row(True, 0.4, 0.9, dice=alike)] * 4 + WITHOUT) == {}
    both = [row(False, 0.9, 0.9)] * 2
    assert answered([row(True, 0.4, 0.9, dice=better)] * 4 + both + WITHOUT), "it claims what the first claims too"
    claims = [row(False, 0.1, 0.9, source="b")] * 4
    assert answered([row(True, 0.4, 0.9, dice=better)] * 4 + claims + WITHOUT) == {}, "it claims too much"


def test_a_fair_answer_is_better_than_a_wrong_one_but_not_than_none():
    fair = (0.0, 0.45)
    assert "brain" in answered([row(True, 0.4, 0.9, dice=fair)] * 4 + WITHOUT)
    assert answered([row(True, None, 0.9, dice=fair)] * 4) == {}


def test_what_only_one_look_knows_is_judged_by_claims_if_there_are_enough_slices_without_it():
    found, claim = [row(True, None, 0.9, dice=(0.0, 0.7))] * 4, row(False, None, 0.9)
    assert "MR" in answered([*found, claim, claim])["brain"], "two slices tell nothing"
    assert answered(found + [claim] * 4) == {}
    elsewhere = [row(False, None, 0.1, source="b")] * 90
    assert answered(found + [claim] * 4 + elsewhere) == {}, "what is easy elsewhere does not make up for it"
