"""Remarks stay with a node, in their order."""

from __future__ import annotations

from MedCLIPSAMLib.scene.remarks import add_remark, remarks

from . import grids


def test_remarks_are_kept_in_order():
    node = grids.volume_node()
    assert remarks(node) == ()
    add_remark(node, "Frame 2 of 30.")
    add_remark(node, "Größe unbekannt: 1 mm.")
    assert remarks(node) == ("Frame 2 of 30.", "Größe unbekannt: 1 mm.")
