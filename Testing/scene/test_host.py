"""The headless start, and its absence inside the real Slicer."""

from __future__ import annotations

import slicer

from MedCLIPSAMLib.scene import host


def test_a_second_start_changes_nothing(app):
    scene = slicer.mrmlScene
    assert host.start() is app
    assert slicer.mrmlScene is scene is app.scene


def test_logics_are_where_slicer_has_them():
    for name in ("segmentations", "terminologies", "volumes"):
        assert getattr(slicer.modules, name).logic().GetMRMLScene() is slicer.mrmlScene


def test_nothing_is_started_inside_slicer(monkeypatch):
    scene = slicer.mrmlScene
    monkeypatch.setattr(slicer, "app", object(), raising=False)
    monkeypatch.setattr(host, "_app", None)
    assert host.start() is None
    assert slicer.mrmlScene is scene


def test_quiet_ends(capfd):
    def complain() -> None:
        slicer.modules.volumes.logic().AddArchetypeVolume("absent.nrrd", "absent", 0)

    with host.quiet():
        complain()
    assert capfd.readouterr() == ("", "")
    complain()
    assert "ERR" in capfd.readouterr().err
