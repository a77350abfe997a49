"""The command line in this process, with stand-ins for the models and a small volume on disk."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest

from MedCLIPSAMLib.cli import run
from MedCLIPSAMLib.engine.clip import registry as clips
from MedCLIPSAMLib.engine.sam import registry as segmenters

from ..engine.fakes import GreyClip, GreySegmenter

SPACING = (1.5, 2.0, 3.0)
SHAPE = (60, 48, 20)  # i, j, k
AFFINE = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def bar() -> np.ndarray:
    """(I, J, K) bool: the bright bar of `volume`, on slices 5 to 14."""
    mask = np.zeros(SHAPE, bool)
    mask[20:40, 15:35, 5:15] = True
    return mask


@pytest.fixture
def volume(tmp_path: Path, bar: np.ndarray) -> Path:
    """A body of 80 with a bar of 200, LPS, 1.5 x 2 x 3 mm."""
    array = np.zeros(SHAPE, np.int16)
    array[4:56, 4:44] = 80
    array[bar] = 200
    path = tmp_path / "bars.nii.gz"
    nibabel.Nifti1Image(array, AFFINE).to_filename(path)
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command with models that see grey levels; see `GreyClip`."""
    monkeypatch.setattr(clips, "load_clip", lambda name, device: GreyClip())
    monkeypatch.setattr(segmenters, "load_segmenter", lambda name, device: GreySegmenter())

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch, command: Callable[..., Ended]) -> Callable[..., Ended]:
    """The same, for what must be refused before a model is loaded."""

    def load(*arguments: object) -> None:
        raise AssertionError("a model was loaded before the input was checked")

    monkeypatch.setattr(clips, "load_clip", load)
    monkeypatch.setattr(segmenters, "load_segmenter", load)
    return command


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails the test."""

    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
