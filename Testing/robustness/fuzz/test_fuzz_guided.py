"""Readers in Python under atheris, which looks for inputs that reach new code."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from .__main__ import search_python
from .search.guided import PYTHON

_INPUTS = {"dicom-header": 150}  # each is a folder that is looked through


@pytest.mark.row("fuzz-json")
@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this system")
@pytest.mark.parametrize("target", PYTHON)
def test_nothing_new_breaks(target: str) -> None:
    inputs = _INPUTS.get(target, 3000)
    found = search_python(target, seconds=300, inputs=inputs)
    assert not found.faults
    assert found.tried >= inputs
