from __future__ import annotations

import json

import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import MAX_TEXT, Point, Prompt, PromptSet


@pytest.mark.parametrize(
    ("text", "name", "wordings"),
    [
        ("liver", "liver", ("liver",)),
        ("  the liver on CT ", "the liver on CT", ("the liver on CT",)),
        ("Liver=liver; the liver on an abdominal CT", "Liver", ("liver", "the liver on an abdominal CT")),
        ("liver; hepatic tissue", "liver", ("liver", "hepatic tissue")),
        ("T=a tumour with SUV = 3", "T", ("a tumour with SUV = 3",)),
        ("肝臓=liver", "肝臓", ("liver",)),
    ],
)
def test_typed_prompts(text: str, name: str, wordings: tuple[str, ...]) -> None:
    prompt = Prompt.parse(text)
    assert (prompt.name, prompt.wordings) == (name, wordings)
    assert (prompt.contrast, prompt.instances, prompt.visual, prompt.points) == ((), None, "box", ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("liver;", "empty"),
        ("liver=", "empty"),
        ("=liver", "empty"),
        ("a" * (MAX_TEXT + 1), "301 characters"),
        ("liver\x00", "control characters"),
        ("liver\nspleen", "control characters"),
        ("liver\u2028spleen", "control characters"),
        ("liver\ud800", "not written in UTF-8"),
    ],
)
def test_unusable_text_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Prompt.parse(text)


def test_the_longest_text_is_taken() -> None:
    assert Prompt.parse("a" * MAX_TEXT).name == "a" * MAX_TEXT


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"wordings": ()}, "no wording"),
        ({"wordings": "liver"}, "list"),
        ({"wordings": (3,)}, "give text"),
        ({"contrast": ("",)}, "contrast wording of 'liver' is empty"),
        ({"instances": 0}, "instances"),
        ({"instances": True}, "instances"),
        ({"instances": 1.5}, "instances"),
        ({"visual": "scribble"}, "scribble"),
        ({"sensitivity": 1.5}, "sensitivity 1.5"),
        ({"sensitivity": "high"}, "sensitivity 'high'"),
        ({"sensitivity": float("nan")}, "sensitivity nan"),
    ],
)
def test_unusable_fields_are_refused(fields: dict, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Prompt(**{"name": "liver", "wordings": ("liver",)} | fields)


@pytest.mark.parametrize(
    "ras", [(1, 2), (1, 2, "x"), (1, 2, float("nan")), (1, float("inf"), 3), (1, 2, 10**400), "123", None]
)
def test_unusable_points_are_refused(ras: object) -> None:
    with pytest.raises(InputError, match="R, A, S"):
        Point(ras)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("second", ["liver", "LIVER", " liver "])
def test_names_are_unique(second: str) -> None:
    with pytest.raises(InputError, match="named"):
        PromptSet((Prompt.parse("liver"), Prompt.parse(second)))


FULL = Prompt(
    name="kidneys",
    wordings=("kidney", "Niere, links"),
    contrast=("spleen",),
    instances=2,
    visual="both",
    points=(Point((1.5, -2, 3)), Point((0, 0, 0), positive=False)),
    localize="otsu",
    sensitivity=0.75,
)


def test_json_goes_there_and_back() -> None:
    prompts = PromptSet((FULL, Prompt.parse("liver")))
    assert PromptSet.from_json(prompts.to_json()) == prompts
    assert PromptSet.from_json(prompts.to_json().encode()) == prompts


def test_json_is_what_a_user_would_write() -> None:
    assert json.loads(PromptSet((Prompt.parse("liver"),)).to_json()) == {
        "version": 1,
        "prompts": [{"name": "liver", "wordings": ["liver"]}],
    }


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "JSON object"),
        ('{"prompts": []}', "lacks 'version'"),
        ('{"version": 2, "prompts": []}', "version 2"),
        ('{"version": true, "prompts": []}', "version True"),
        ('{"version": 1, "prompts": {}}', "list"),
        ('{"version": 1, "prompts": [], "author": "me"}', "unknown key 'author'"),
        ('{"version": 1, "prompts": ["liver"]}', "Prompt 1"),
        ('{"version": 1, "prompts": [{"name": "liver"}]}', "Prompt 1 of the prompt set lacks 'wordings'"),
        (
            '{"version": 1, "prompts": [{"name": "a", "wordings": ["a"], "colour": 1}]}',
            "unknown key 'colour'",
        ),
        ('{"version": 1, "prompts": [{"name": "a", "wordings": "a"}]}', "list"),
        ('{"version": 1, "prompts": [{"name": "a", "wordings": [" "]}]}', "empty"),
        (
            '{"version": 1, "prompts": [{"name": "a", "wordings": ["a"], "points": 1}]}',
            "points must be a list",
        ),
        (
            '{"version": 1, "prompts": [{"name": "a", "wordings": ["a"], "points": [{}]}]}',
            "a point lacks 'ras'",
        ),
        ('{"version": 1, "prompts": [{"name": "a", "wordings": ["a"], "points": [{"ras": 1}]}]}', "R, A, S"),
        (
            '{"version": 1, "prompts": [{"name": "a", "wordings": ["a"], "points": [{"ras": [1]}]}]}',
            "R, A, S",
        ),
        (
            '{"version": 1, "prompts": [{"name": "a", "wordings": ["a"],'
            ' "points": [{"ras": [1, 2, 3], "positive": 1}]}]}',
            "true or false",
        ),
    ],
)
def test_other_json_is_refused_in_one_sentence(document: str | bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refused:
        PromptSet.from_json(document)
    assert "\n" not in str(refused.value)
