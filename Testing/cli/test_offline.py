"""The whole way on a computer without a network: a model from a stick, checked, used. Nothing opens a connection."""

from __future__ import annotations

import json
import zipfile

import pytest

from MedCLIPSAMLib.cli import run

from ..engine.biomedclip import TINY, random_state, write_hub


@pytest.mark.row("network-none")
@pytest.mark.parametrize("saliency", ["gradient", "m2ib"])
def test_a_model_from_a_stick_segments_without_a_network(no_network, tmp_path, volume, capsys, saliency):
    folder = write_hub(tmp_path / "hub", TINY, random_state(TINY))
    with zipfile.ZipFile(tmp_path / "stick.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"biomedclip/{file.name}")

    def command(*arguments: object) -> str:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    command("models", "import", tmp_path / "stick.zip")
    assert command("models", "verify", "biomedclip") == "biomedclip: as it should be\n"
    output, report = tmp_path / "out.seg.nrrd", tmp_path / "report.json"
    choices = ("--clip", "biomedclip", "--sam", "lite-medsam", "--saliency", saliency, "--slices", "8:10")
    command("segment", volume, "--prompt", "liver", *choices, "-o", output, "--report", report)
    assert output.stat().st_size > 0
    models = json.loads(report.read_text("utf-8"))["models"]
    assert len(models) == 2
