"""The yardsticks themselves: the baseline is the method, and figures are told as they are."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.presence.presence import NEUTRAL_TEXTS
from MedCLIPSAMLib.engine.published import PUBLISHED
from MedCLIPSAMLib.engine.saliency import TextQuery, normalise
from MedCLIPSAMLib.engine.saliency.cam import GradCAM, Layer, logits
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB
from MedCLIPSAMLib.engine.saliency.masked import GScoreCAM, Rise, ScoreCAM
from Testing.engine.biomedclip import TINY, random_state, write_hub

from .figures import Figure, at_least, at_most, plot_cost, publish
from .gpu import operations
from .materials import aim, large_volume
from .methods import tabulated, with_fewer_masks
from .textbook import textbook_gradient, textbook_map, textbook_scores


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> DualEncoder:
    loaded = load_clip(write_hub(tmp_path_factory.mktemp("tiny") / "hub", TINY, random_state(TINY)), "cpu")
    assert isinstance(loaded, DualEncoder)
    return loaded


def test_the_textbook_and_the_engine_give_the_same_map(model):
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    ids = model.tokenize(["liver ct"])
    settings = replace(PUBLISHED, steps=4, noise_samples=3)
    textbook, patches = textbook_map(model, pixels, ids, settings)
    method = M2IB(steps=4, noise_samples=3, noise="published")
    query = TextQuery.from_features(model.encode_token_ids(ids))
    ours = method.explain(model, method.prepare(model, pixels), query)
    assert (normalise(ours.maps) - normalise(textbook[None])).abs().max() < 1e-4
    assert float(patches.sum()) == pytest.approx(float(ours.information[0]), rel=1e-4)
    assert not any(weight.requires_grad for weight in model.vision.parameters())  # type: ignore[attr-defined]


def test_the_textbook_of_activation_maps_and_the_engine_agree(model):
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    query = TextQuery.from_features(model.encode_token_ids(model.tokenize(["liver ct"])))
    method = GradCAM(Layer(11))
    seen, gradient = method.look(model, method.prepare(model, pixels), query.target)
    for ours, textbook in zip((seen, gradient), textbook_gradient(model, pixels, query.target, 11), strict=True):
        assert (ours - textbook).abs().max() < 1e-4 * textbook.abs().max()
    assert not any(weight.requires_grad for weight in model.vision.parameters())  # type: ignore[attr-defined]
    masks = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(4))
    ours = logits(model, model.encode_image(pixels * masks[:, None]), query.target)
    assert torch.allclose(ours, textbook_scores(model, pixels, query.target, masks), atol=1e-3)


def test_methods_with_many_masks_are_measured_on_a_few():
    scorecam, gscorecam, rise = ScoreCAM(Layer(11)), GScoreCAM(Layer(11)), Rise()
    few, measured, of = with_fewer_masks(scorecam, 768)
    assert (list(few.channels), measured, of) == (list(range(32)), 32, 768)  # type: ignore[attr-defined]
    few, measured, of = with_fewer_masks(gscorecam, 768)
    assert (few.most, measured, of) == (32, 32, 300)  # type: ignore[attr-defined]
    few, measured, of = with_fewer_masks(rise, 768)
    assert (few.masks, measured, of) == (32, 32, 1000)  # type: ignore[attr-defined]
    assert with_fewer_masks(ScoreCAM(Layer(11)), 24)[1:] == (24, 24)
    assert with_fewer_masks(GradCAM(Layer(11)), 768) == (GradCAM(Layer(11)), 1, 1)


def test_the_table_says_what_was_scaled(capsys):
    plain = {"mib": 1.0, "measured": 1, "of": 1, "textbook": None}
    rows = {
        "m2ib --exact": plain | {"seconds": 10.0},
        "rise": plain | {"seconds": 20.0, "measured": 32, "of": 1000, "textbook": 70.0},
    }
    Console(width=120).print(tabulated(rows))
    exact, rise = (line.split() for line in capsys.readouterr().out.splitlines() if "10.00" in line or "20.00" in line)
    assert "2.000" in rise
    assert " ".join(rise).count("32 of 1000 masks") == 1
    assert "3.5" in rise
    assert "masks" not in exact


def test_an_aimed_model_finds_its_slices(model):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (20, 224, 224, 3), np.uint8)
    pictures[10:, :112] = 0
    aim(model, lambda indices: pictures[list(indices)], 20, range(10, 20))
    text, neutral = model.encode_text(["anything"])[0], model.encode_text(NEUTRAL_TEXTS)
    features = model.encode_image(model.preprocess(pictures))
    assert ((features @ text > 0) == (torch.arange(20) >= 10)).all()
    assert torch.equal(neutral, -text.expand(len(NEUTRAL_TEXTS), -1))


def test_figures_are_told_as_they_are(tmp_path, capsys):
    publish([at_least("speed", 4.0, 5.0), at_most("memory", 1.0, 1.5, "GB"), Figure("x", None, 2, None, "x")], tmp_path)
    told = json.loads((tmp_path / "benchmark.json").read_text())
    assert told[0] == {"figure": "speed", "value": 4.0, "reach": 5.0, "met": False, "unit": "x"}
    assert [entry["met"] for entry in told] == [False, True, None]
    assert "NO" in capsys.readouterr().out


def test_the_plot_tells_how_straight_the_line_is(tmp_path):
    assert plot_cost([1, 2, 4], [2.0, 4.0, 8.0], tmp_path / "cost.png") == pytest.approx(1)
    assert plot_cost([1, 2, 4], [2.0, 9.0, 1.0], tmp_path / "cost.png") < 0.5
    assert (tmp_path / "cost.png").stat().st_size > 1000


def test_large_volumes_are_what_they_are_called():
    volume, text = large_volume(6, side=64)
    assert (volume.array.shape, volume.array.dtype) == ((6, 64, 64), np.int16)
    assert text in ("liver", "cerebellum")
    assert volume.array.std() > 10


def test_a_map_takes_about_two_teraflop():
    class VitB:
        grid, token_width, block_count = 14, 768, 12

    assert operations(VitB(), M2IB()) == pytest.approx(1.7e12, rel=0.05)  # type: ignore[arg-type]
