"""Any text as prompts, prompt table, provenance or names of labels: something valid, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import slicer
from hypothesis import given, settings
from hypothesis import strategies as st

from MedCLIPSAMLib.cli.labels import read_labels
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.evaluate import label_names
from MedCLIPSAMLib.engine.prompt.prompt import PromptSet
from MedCLIPSAMLib.panel.rows import Rows
from MedCLIPSAMLib.scene.segmentation.provenance import Provenance

from .checks import check_message
from .damaged.images import nifti_header
from .damaged.json_documents import damaged_json
from .search.guided import SEEDS, check_of

pytestmark = pytest.mark.row("fuzz-json")

TARGETS = ("prompts", "table", "tags", "names")
CHECKS = {target: check_of(target, Path()) for target in TARGETS}
bounded = settings(derandomize=True, deadline=None, database=None, max_examples=250)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("target", TARGETS)
@bounded
@given(content=st.binary())
def test_any_bytes(target: str, content: bytes) -> None:
    CHECKS[target](content)


@pytest.mark.parametrize("target", TARGETS)
@bounded
@given(document=anything)
def test_any_json(target: str, document: Any) -> None:
    CHECKS[target](json.dumps(document).encode())


@pytest.mark.parametrize("target", TARGETS)
@bounded
@given(seed=st.integers(0, 2**32))
def test_any_value_in_the_place_of_another(target: str, seed: int) -> None:
    (whole,) = SEEDS[target]()
    CHECKS[target](damaged_json(Random(seed), whole))


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_search_begins_with_is_taken(target: str) -> None:
    (whole,) = SEEDS[target]()
    assert CHECKS[target](whole)


def changed(target: str, *path: str | int, value: Any) -> str:
    """The document that a search begins with, with another value at a place."""
    (whole,) = SEEDS[target]()
    document = place = json.loads(whole)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [[], {}, 5, True, "", "\ud800", "a\nb"])
def test_a_localisation_is_a_text(value: Any) -> None:
    with pytest.raises(InputError, match="localisation") as refused:
        PromptSet.from_json(changed("prompts", "prompts", 0, "localize", value=value))
    check_message(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        *(("prompts", 0, name) for name in ("name", "visual", "instances", "sensitivity", "localize")),
        *(("prompts", 0, "wordings", 0), ("prompts", 0, "points", 0, "ras"), ("prompts", 0, "points", 0, "positive")),
    ],
)
@pytest.mark.parametrize("value", [nested(900), "x" * 100_000, -(10**4000)], ids=["deep", "long", "large"])
def test_a_message_is_short_and_made_whatever_it_is_about(path: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(InputError) as refused:
        PromptSet.from_json(changed("prompts", *path, value=value))
    check_message(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("text", 5), ("text", None), ("text", "\ud800"), ("name", []), ("on", 1), ("place", None), ("key", 3)),
        *(("wordings", "ren"), ("wordings", [5]), ("contrast", None), ("contrast", nested(900)), ("accepted", ["4"])),
        *(("accepted", [True]), ("colour", [1, 0]), ("colour", [1, 0, 2]), ("colour", ["1", 0, 0]), ("colour", "abc")),
        *(
            ("instances", "2"),
            ("instances", 0),
            ("visual", []),
            ("visual", "x"),
            ("localize", {}),
            ("sensitivity", "1"),
        ),
        *(("sensitivity", float("nan")), ("points", {}), ("points", [{"ras": [1, 2], "positive": True}])),
        *(("points", [{"ras": [1, 2, 3], "positive": 1}]), ("points", [5]), ("outcome", []), ("outcome", {"found": 1})),
        *(("outcome", {"found": "1", "searched": 2}), ("outcome", {"found": 1, "searched": 2, "known": 1})),
    ],
)
def test_a_row_that_no_widget_can_show_gives_no_rows(name: str, value: Any) -> None:
    assert Rows.from_json(changed("table", "rows", 0, name, value=value)) == Rows()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"rows": {}}', '{"rows": [[]]}', '{"rows": "ab"}'])
def test_a_table_that_is_none_gives_no_rows(text: str) -> None:
    assert Rows.from_json(text) == Rows()


def test_rows_of_one_key_give_no_rows() -> None:
    rows = [{"text": "a", "key": "1"}, {"text": "b", "key": "1"}]
    assert Rows.from_json(json.dumps({"rows": rows})) == Rows()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("found", "1"), ("found", '"yes"'), ("slices_found", '"2"'), ("slices_kept", "1.5"), ("searched", "[0]")),
        *(("searched", "[]"), ("searched", "0"), ("searched", '["a", "b"]'), ("searched", '{"0": 1, "1": 2}')),
        *(("edited", '"12"'), ("edited", "[[]]"), ("models", "{}"), ("models", "[{}]"), ("settings", "[]")),
        *(("models", '[{"role": [], "name": "a", "checksum": "b"}]'), ("settings", "5"), ("settings", "[" * 100_000)),
        *(("version", "1"), ("created", "null"), ("version", '"\\ud800"'), ("prompt", "[" * 900 + "]" * 900)),
    ],
)
def test_provenance_of_other_types_is_none(name: str, text: str) -> None:
    (whole,) = SEEDS["tags"]()
    tags = {f"MedCLIPSAM.{key}": value for key, value in json.loads(whole).items()}
    assert Provenance.from_tags(tags).found
    with pytest.raises(ValueError, match="damaged"):
        Provenance.from_tags({**tags, f"MedCLIPSAM.{name}": text})


@pytest.mark.parametrize(
    "text", ['{"1": "\\ud800"}', '{"1": "a\\nb"}', f'{{"{2**63}": "liver"}}', f'{{"{10**400}": "a"}}']
)
def test_names_which_no_label_can_have_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="names cannot be read"):
        label_names(text)


@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**63, 0.5])
@pytest.mark.filterwarnings("error")
def test_labels_that_are_no_whole_numbers_leave_nothing_behind(value: float, tmp_path: Path) -> None:
    header = nifti_header(datatype=64, bitpix=64, dim1=1, dim2=1, dim3=1)
    (tmp_path / "labels.nii").write_bytes(header + np.float64(value).tobytes())
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError, match="not whole numbers"):
        read_labels(tmp_path / "labels.nii", {})
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
