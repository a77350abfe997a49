"""The whole chain in each number format, on any processor: forced, and chosen by what PyTorch says of the processor."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nilearn.datasets import load_mni152_template
from segment_anything.build_sam import _build_sam

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.machine import precision
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.network import SamNetwork
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.sam.segment_anything_model import SamInput
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume

from ...samples import ABDOMEN_MM, abdomen_slice
from ..bars import dice
from ..biomedclip import TINY, random_state, write_hub

CPU = torch.device("cpu")
DICE, PRESENCE = 0.995, 0.02  # how near a format must come to float32


@pytest.fixture(scope="module")
def clip() -> Any:
    return load_clip("quickstart", "cpu")


@pytest.fixture(scope="module")
def lite() -> Any:
    return load_segmenter("lite-medsam", "cpu")


@pytest.fixture(scope="module")
def volumes() -> dict[str, Volume]:
    """A slice of an abdominal CT, and four of a T1 head."""
    image = load_mni152_template(2)
    head = np.ascontiguousarray(np.asarray(image.dataobj, np.float32).T[44:48])
    slice_ = abdomen_slice()[None]
    return {
        "CT": Volume(slice_, np.diag([-ABDOMEN_MM, -ABDOMEN_MM, 5, 1]), "CT", "abdomen"),
        "MR": Volume(head, image.affine, "MR", "head"),
    }


def says_amx(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": there}, raising=False)


@pytest.mark.parametrize(("kind", "text"), [("CT", "liver"), ("CT", "spleen"), ("CT", "brain"), ("MR", "brain")])
def test_bf16_gives_what_float32_gives(clip, lite, volumes, kind, text):
    runs = {}
    for name in ("fp32", "bf16"):
        session = Session(volumes[kind], clip, lite, Settings(precision=name))
        runs[name] = session.segment(Prompt.parse(text))
        assert session.choices["precision"] == {"clip": name, "segmenter": name}, "and no other stood in for it"
    plain, made = runs["fp32"], runs["bf16"]
    assert plain.found == made.found == (text != "brain" or kind == "MR")
    assert not plain.found or dice(plain.mask, made.mask) >= DICE
    for one, other in zip(plain.slices, made.slices, strict=True):
        assert abs(one.score - other.score) <= PRESENCE


@pytest.mark.parametrize("saliency", ["dense", "m2ib", "gradient"])
@pytest.mark.parametrize("amx", [True, False])
def test_every_saliency_in_what_suits_the_processor(clip, lite, volumes, saliency, amx, monkeypatch, caplog):
    says_amx(monkeypatch, amx)
    session = Session(volumes["MR"], clip, lite, Settings(saliency=saliency))
    looked = session.preview(1, Prompt.parse("brain"))
    assert np.isfinite(looked.saliency).all()
    assert looked.saliency.any()
    assert "presence" in looked.clues, "the built-in model tells it, whatever draws the map"
    edited = session.edit(1, Prompt.parse("brain"), np.array([[20.0, 20, 70, 90]]))
    assert edited.mask.any()
    assert set(session.choices["precision"].values()) == {"bf16" if amx else "fp32"}
    assert not caplog.records


@pytest.fixture(scope="module")
def sam() -> SamNetwork:
    """SAM's own network with few channels and random weights."""
    torch.manual_seed(0)
    network = _build_sam(encoder_embed_dim=48, encoder_depth=2, encoder_num_heads=2, encoder_global_attn_indexes=[1])
    return SamNetwork("small-sam", "0", network, SamInput(network.pixel_mean, network.pixel_std), CPU)


@pytest.mark.parametrize("saliency", ["m2ib", "gradient"])
def test_biomedclip_and_sam_in_bf16(sam, volumes, saliency, tmp_path: Path, caplog):
    model = load_clip(write_hub(tmp_path / "clip", TINY, random_state(TINY)), "cpu")
    session = Session(volumes["MR"], model, sam, Settings(saliency=saliency, precision="bf16", slicewise=True))
    evidence = session.segment(Prompt.parse("liver"), range(1, 3))
    assert len(evidence.slices) == 2
    assert session.choices["precision"] == {"clip": "bf16", "segmenter": "bf16"}
    assert not caplog.records
    plain = Session(volumes["MR"], model, sam, Settings(saliency=saliency, precision="fp32", slicewise=True))
    maps = [each.preview(1, Prompt.parse("liver")).saliency.ravel() for each in (session, plain)]
    assert np.corrcoef(maps)[0, 1] > 0.99


class Lacking:
    """A network as it is, but in other formats than float32 it fails: by an error, or by what it gives."""

    def __init__(self, network: Any, method: str, how: str) -> None:
        self._network, self._how = network, how
        setattr(self, method, lambda *given: self._run(getattr(network, method), *given))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def _run(self, method: Any, *given: Any) -> Any:
        made = method(*given)
        if torch.is_autocast_enabled("cpu"):
            if self._how == "operator":
                raise RuntimeError("\"some_kernel\" not implemented for 'BFloat16'")
            made = (
                made * torch.nan
                if isinstance(made, torch.Tensor)
                else type(made)(made.features * torch.inf, made.shape)
            )
        return made


@pytest.mark.row("format-fails")
@pytest.mark.parametrize("how", ["operator", "numbers"])
@pytest.mark.parametrize("role", ["clip", "segmenter"])
def test_a_network_that_fails_in_a_format_goes_on_in_float32(clip, lite, volumes, role, how, caplog):
    parts = {"clip": clip, "segmenter": lite}
    parts[role] = Lacking(parts[role], {"clip": "look", "segmenter": "embed"}[role], how)
    session = Session(volumes["MR"], parts["clip"], parts["segmenter"], Settings(precision="bf16"))
    with caplog.at_level(logging.WARNING):
        assert session.segment(Prompt.parse("brain")).found
    (line,) = (record.message for record in caplog.records)
    assert "does not compute in bf16 here" in line
    assert ("BFloat16" if how == "operator" else "not finite") in line
    assert session.choices["precision"] == {"clip": "bf16", "segmenter": "bf16", role: "fp32"}


def test_fp16_is_not_for_a_processor_but_a_run_whose_card_is_lost_goes_on():
    with pytest.raises(precision.InputError, match="fp16 is for CUDA devices, not for 'cpu': choose bf16 or fp32"):
        precision.pick_precision("fp16", CPU)
    chosen = precision.NumberFormat("a network", "fp16")
    assert (chosen.on(torch.device("cuda")), chosen.on(CPU)) == ("fp16", "fp32")


def test_what_has_another_reason_is_raised_and_costs_no_format():
    chosen = precision.NumberFormat("a network", "bf16")

    def fail() -> Any:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        chosen.run(CPU, fail)
    assert chosen.on(CPU) == "bf16"
