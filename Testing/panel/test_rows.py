"""Rows of the prompt table: unfinished texts are kept, and what is looked for is checked when it is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.panel.rows import Outcome, Row, Rows

FULL = Row(
    text="kidney",
    name="Nieren 🫘",
    on=False,
    colour=(0.5, 0.25, 1.0),
    wordings=("ren", ""),
    contrast=("spleen",),
    instances=2,
    visual="both",
    localize="otsu",
    sensitivity=0.75,
    points=(Point((1, 2, 3)), Point((4, 5, 6), positive=False)),
    outcome=Outcome(3, 30, known=False, cancelled=True, judged=False),
    accepted=(4, 7),
)


def test_a_row_says_what_to_look_for():
    assert Row(" liver ").prompt() == Prompt("liver", ("liver",))
    assert FULL.prompt() == Prompt(
        *("Nieren 🫘", ("kidney", "ren"), ("spleen",), 2, "both"),
        *(FULL.points, "otsu", 0.75),
    )
    assert Row.of(FULL.prompt()).prompt() == FULL.prompt()


@pytest.mark.parametrize("text", ["", "   ", "x" * 301, "li\x07ver"])
def test_an_unfinished_text_is_kept_and_refused_when_it_is_needed(text):
    rows = Rows((Row(text),))
    assert Rows.from_json(rows.to_json()) == rows
    with pytest.raises(InputError):
        rows.switched_on()


def test_the_table_goes_there_and_back():
    rows = Rows((FULL, Row("肝臓"), Row()))
    assert Rows.from_json(rows.to_json()) == rows


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": [1]}', '{"rows": [{"points": [{}]}]}', "null"])
def test_a_damaged_table_gives_no_rows(text):
    assert Rows.from_json(text) == Rows()


def test_an_outcome_is_of_what_was_looked_for():
    row = replace(FULL, localize=None)
    assert row.changed(on=True, colour=None, name="kidneys").outcome == row.outcome
    for change in ({"text": "x"}, {"wordings": ()}, {"localize": "crf"}, {"sensitivity": 0.1}, {"points": ()}):
        assert row.changed(**change).outcome is None
        assert row.changed(**change).accepted == row.accepted


def test_rows_are_added_copied_moved_and_removed():
    rows = Rows().added([Row("liver"), Row("Liver"), Row(), Row()])
    assert [row.title for row in rows.rows] == ["liver", "Liver 2", "", ""]
    copied = Rows((FULL, Row("a"))).duplicated(0)
    assert [row.title for row in copied.rows] == ["Nieren 🫘", "Nieren 🫘 2", "a"]
    assert (copied[1].outcome, copied[1].accepted, copied[1].points) == (None, (), FULL.points)
    letters = Rows(tuple(Row(letter) for letter in "abc"))
    assert "".join(row.text for row in letters.moved(0, 1).rows) == "bac"
    assert "".join(row.text for row in letters.moved(2, -5).rows) == "cab"
    assert "".join(row.text for row in letters.moved(0, 9).rows) == "bca"
    assert "".join(row.text for row in letters.removed(1).rows) == "ac"
    assert letters.with_row(1, Row("x")).rows[1].text == "x"


def test_a_run_takes_the_rows_that_are_switched_on():
    rows = Rows((Row("a"), Row("b", on=False), Row("c")))
    assert [(number, prompt.name) for number, prompt in rows.switched_on()] == [(0, "a"), (2, "c")]
    assert [prompt.name for prompt in rows.prompts()] == ["a", "b", "c"]
    with pytest.raises(InputError, match="switched on"):
        Rows((Row("a", on=False),)).switched_on()
    with pytest.raises(InputError, match="named"):
        Rows((Row("a"), Row("A"))).switched_on()


def test_fifty_rows_are_no_matter():
    rows = Rows().added(Row(f"structure {number}") for number in range(50))
    assert len(rows.switched_on()) == 50
