"""The whole chain with the built-in models on real volumes, offline. Floors are generous: accuracy is in the README."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nilearn import datasets

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.prompt.prompt import Point, Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.volume import Volume

from ...samples import ABDOMEN_MM, abdomen_organs, abdomen_slice
from ..bars import dice


@pytest.fixture(scope="module")
def models():
    return load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture(scope="module")
def head(models) -> tuple[Session, np.ndarray]:
    """The MNI152 T1 head at 2 mm, which no training saw, and its brain mask."""
    image, mask = datasets.load_mni152_template(2), datasets.load_mni152_brain_mask(2)
    array, brain = (np.ascontiguousarray(np.asarray(part.dataobj).T) for part in (image, mask))
    return Session(Volume(array.astype(np.float32), image.affine, "MR", "MNI152"), *models), brain > 0


Abdomen = tuple[Session, dict[str, np.ndarray], range]  # the chain, organs, slices to look at


@pytest.fixture(scope="module")
def slab(models) -> Abdomen:
    """Three times the same slice of a real CT, which no training saw, and organs outlined by hand."""
    matrix = np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 5, 1])
    volume = Volume(np.stack([abdomen_slice()] * 3), matrix, "CT", "slab")
    return Session(volume, *models), {name: np.stack([mask] * 3) for name, mask in abdomen_organs().items()}, range(3)


@pytest.fixture(scope="module")
def abdomens(models, slab: Abdomen, shared: Path | None) -> list[Abdomen]:
    """The slab and, where the folder of larger test data is at hand, a whole CT with labels."""
    if shared is None or not (shared / "clinical" / "abdomen_ct.nii.gz").is_file():
        return [slab]
    image, labels = (sitk.ReadImage(str(shared / "clinical" / f"abdomen_ct{part}.nii.gz")) for part in ("", "_labels"))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    volume = Volume(sitk.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ matrix, "CT", "abdomen")
    names = {name: int(value) for value, name in json.loads((shared / "clinical" / "labels.json").read_text()).items()}
    values = sitk.GetArrayFromImage(labels)
    organs = {name: values == names[name] for name in ("liver", "spleen")}
    return [slab, (Session(volume, *models), organs, range(8, 24))]


def test_brain_on_a_t1_head(head):
    session, brain = head
    slices = range(36, 60)
    evidence = session.segment(Prompt.parse("brain"), slices)
    assert evidence.found
    assert dice(evidence.mask[36:60], brain[36:60]) > 0.85


@pytest.mark.parametrize("text", ["liver", "spleen", "a photo of a bicycle"])
def test_what_is_not_in_a_head_is_not_found(head, text):
    evidence = head[0].segment(Prompt.parse(text))
    assert not evidence.found
    assert not evidence.mask.any()


def test_a_click_does_not_spoil_a_right_result(head):
    session, brain = head
    plain = session.segment(Prompt.parse("brain"), range(44, 50)).mask
    ras = session.stack.slice_to_ras(np.array([[47, 50, 40]]))[0]
    assert plain[47].any()
    point = Point((float(ras[0]), float(ras[1]), float(ras[2])))
    clicked = session.segment(Prompt("brain", ("brain",), points=(point,)), range(44, 50)).mask
    assert dice(clicked[44:50], brain[44:50]) > dice(plain[44:50], brain[44:50]) - 0.01


@pytest.mark.parametrize(("text", "floor"), [("liver", 0.85), ("spleen", 0.75)])
def test_organs_on_a_real_ct(abdomens, text, floor):
    for session, truth, slices in abdomens:
        evidence = session.segment(Prompt.parse(text), slices)
        assert dice(evidence.mask[slices], truth[text][slices]) > floor


def test_a_wrong_prompt_does_not_take_the_liver(abdomens):
    for session, truth, slices in abdomens:
        for text in ("spleen", "brain"):
            mask = session.segment(Prompt.parse(text), slices).mask
            assert dice(mask[slices], truth["liver"][slices]) < 0.1
