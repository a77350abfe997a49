"""The published recipe, where its outputs are at hand."""

from __future__ import annotations

import pytest

from Testing.reference import check


def test_snapshots_and_schedule_are_as_published(shared, capsys):
    folder = shared and shared / "reference_systems" / "uncertainty"
    if not folder or not folder.is_dir():
        pytest.skip("needs the cases of the published recipe")
    assert check.main([str(folder)]) == 0
    assert "schedule of" in capsys.readouterr().out
