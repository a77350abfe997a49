"""`exact`: the class activation maps of the first MedCLIP-SAM as its code has them, and what cannot be exact."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.openclip import OpenClipTower
from MedCLIPSAMLib.engine.clip.quickstart.model import load_quickstart
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.saliency import SALIENCY, TextQuery, choose, normalise
from MedCLIPSAMLib.engine.saliency.cam import GradCAM, Layer
from MedCLIPSAMLib.engine.saliency.masked import GScoreCAM, ScoreCAM
from MedCLIPSAMLib.engine.session.settings import Settings
from Testing import samples

from ..bars import session
from ..biomedclip import TINY, random_state, write_hub

EXACT = Settings(exact=True)
CAMS = ("gradcam", "scorecam", "gscorecam")


@pytest.fixture
def openai(model) -> DualEncoder:
    """A CLIP of OpenAI's kind, of two blocks."""
    sizes = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"vocab_size": 64, "width": 16, "heads": 2, "layers": 1, "context_length": 8}
    torch.manual_seed(1)
    tower = OpenClipTower(open_clip.CLIP(10, sizes, text).visual).eval().requires_grad_(False)  # type: ignore[arg-type]
    rest = "", tower, tower, model.text, model.tokenize, (0.5,) * 3, (0.5,) * 3, torch.device("cpu"), 20.0
    return DualEncoder("openai", *rest)


def as_published(model: Any, pixels: Tensor, target: Tensor, channels: list[int], epsilon: float) -> Tensor:
    """(1, 3, 32, 32) -> (32, 32) in 0..1: the loop of the published ScoreCAM and gScoreCAM, without batches."""
    seen: list[Tensor] = []
    trunk = model.vision.trunk
    hook = trunk.blocks[-1].norm2.register_forward_hook(lambda *given: seen.append(given[2]))

    def encode(images: Tensor) -> Tensor:
        return model.vision.head(trunk(images))

    encode(pixels)
    hook.remove()
    grid = seen[0][0, 1:].T.unflatten(1, (4, 4))
    scores = torch.zeros(len(grid))
    for channel in channels:
        mask = torch.nn.UpsamplingBilinear2d((32, 32))(grid[None, [channel]])
        mask = (mask - mask.min()) / (mask.max() - mask.min() + epsilon)
        logit = model.logit_scale * F.normalize(encode(pixels * mask), dim=1) @ target
        scores[channel] = logit.nan_to_num(nan=0.0)
    summed = torch.einsum("c,chw->hw", scores.softmax(0), grid).clamp(min=0)
    return normalise(F.interpolate(summed[None, None], (32, 32), mode="bilinear")[0])[0]


@pytest.mark.parametrize("name", CAMS)
def test_the_layer_is_the_published_one(model, openai, name: str) -> None:
    for clip, last in ((model, Layer(2, "norm2")), (openai, Layer(1, "output"))):
        if name == "gradcam":
            assert choose(name, clip, replace(EXACT, layer=0)).layer == Layer(0, last.part)  # type: ignore[attr-defined]
        else:
            assert choose(name, clip, EXACT).layer == last  # type: ignore[attr-defined]
        assert choose(name, clip, Settings()).layer == Layer(last.block, "norm1")  # type: ignore[attr-defined]


def test_scorecam_is_the_published_one(model, pixels) -> None:
    target = TextQuery.encode(model, ["liver"])
    ours = choose("scorecam", model, EXACT)(model, pixels[:1], target).maps
    theirs = as_published(model, pixels[:1], target.target, list(range(24)), 0.0)
    assert (normalise(ours)[0] - theirs).abs().max() < 3e-4
    usual = choose("scorecam", model, Settings())(model, pixels[:1], target).maps
    assert (normalise(usual)[0] - theirs).abs().max() > 0.01


def test_a_channel_that_is_the_same_everywhere_scores_nothing(model, pixels) -> None:
    """The published code divides by zero there, and takes 0 for what is no number."""
    norm = model.vision.trunk.blocks[-1].norm2
    norm.weight[3], norm.bias[3] = 0, 2
    query = TextQuery.encode(model, ["liver"])
    _, weights = ScoreCAM(Layer(2, "norm2")).weigh(model, pixels[:1], query.target, None)
    theirs = as_published(model, pixels[:1], query.target, list(range(24)), 0.0)
    ours = choose("scorecam", model, EXACT)(model, pixels[:1], query).maps
    assert torch.isfinite(weights).all()
    assert (normalise(ours)[0] - theirs).abs().max() < 3e-4


def test_gscorecam_repeats_a_stored_map_with_its_channels(model, pixels) -> None:
    query, stored = TextQuery.encode(model, ["liver"]), [20, 3, 11]
    method = choose("gscorecam", model, EXACT)
    assert isinstance(method, GScoreCAM)
    repeated = replace(method, channels=stored, channels_because=None)(model, pixels[:1], query).maps
    theirs = as_published(model, pixels[:1], query.target, stored, 1e-6)
    assert (normalise(repeated)[0] - theirs).abs().max() < 3e-4
    other = replace(method, channels=[0, 1, 2])(model, pixels[:1], query).maps
    assert (normalise(other)[0] - theirs).abs().max() > 0.01


def test_which_of_equal_channels_are_tried_is_told(model, openai, monkeypatch) -> None:
    monkeypatch.setattr(GScoreCAM, "most", 6)
    for clip in (model, openai):
        method = choose("gscorecam", clip, EXACT)
        tokens = method.layer.before(clip, torch.zeros(1, 3, 32, 32))  # type: ignore[attr-defined]
        assert method.tried(clip, tokens, torch.ones(10)).tolist() == list(range(6))  # type: ignore[attr-defined]
        told = json.loads(json.dumps(method.choices))
        assert (told["channels"], told["block"]) == ("0 to 5", clip.block_count - 1)
        assert "no patch has a gradient" in told["channels_because"]
        by_gradient = choose("gscorecam", clip, replace(EXACT, layer=0)).choices
        assert (by_gradient["channels"], by_gradient["channels_because"]) == (None, None)
    assert replace(method, channels=(4, 2)).choices["channels"] == [4, 2]  # type: ignore[type-var]


def test_equal_importances_are_in_order_on_every_device(model, pixels) -> None:
    """Without `exact`, too: a sort that is not stable leaves it to the device."""
    layer = Layer(2, "norm2")
    method = GScoreCAM(layer, most=5)
    tokens = layer.before(model, pixels[:1])
    assert not method.importance(model, tokens, torch.ones(10)).any()
    assert method.tried(model, tokens, torch.ones(10)).tolist() == [0, 1, 2, 3, 4]


def test_a_gradcam_that_would_be_empty_is_refused_in_a_sentence(model, openai, pixels) -> None:
    for clip, part in ((model, "norm2"), (openai, "output")):
        with pytest.raises(InputError, match=f"gradcam finds nothing with .* at {part} of its last block"):
            choose("gradcam", clip, EXACT)
        query = TextQuery.encode(clip, ["liver"])
        assert not GradCAM(Layer(clip.block_count - 1, part))(clip, pixels, query).maps.any()  # type: ignore[arg-type]
        assert choose("gradcam", clip, replace(EXACT, layer=0))(clip, pixels, query).maps.any()


def test_it_is_not_refused_where_patches_have_gradients(pixels) -> None:
    model = load_quickstart(torch.device("cpu"))
    picture = torch.from_numpy(samples.abdomen_slice()).float()[None, None]
    seen = F.interpolate(picture, (model.image_size,) * 2).expand(-1, 3, -1, -1) / picture.max() * 2 - 1
    found = choose("gradcam", model, EXACT)(model, seen, TextQuery.encode(model, ["liver"])).maps
    assert torch.isfinite(found).all()
    assert found.std() > 0


@pytest.mark.parametrize("name", [name for name in SALIENCY if name not in ("m2ib", *CAMS)])
def test_what_was_not_published_with_it_cannot_be_exact(model, name: str) -> None:
    with pytest.raises(InputError, match="published with, m2ib, gradcam, scorecam, gscorecam: leave out --exact or"):
        choose(name, model, EXACT)


def test_it_runs_in_the_chain(scene, tmp_path) -> None:
    clip = load_clip(write_hub(tmp_path / "hub", TINY, random_state(TINY)), "cpu")
    made = session(scene[0], clip, exact=True, saliency="gscorecam")
    told = json.loads(json.dumps(made.choices))
    assert (told["saliency"], told["part"], told["channels"]) == ("gscorecam", "norm2", "0 to 191")
    assert told["precision"]["clip"] == "fp32"
    seen = made.preview(9, Prompt("liver", ("liver",)))
    assert seen.saliency_method == "gscorecam"
    assert np.isfinite(seen.saliency).all()
    assert not seen.judged
    quick = made.preview(9, Prompt("liver", ("liver",)), quick=True)
    assert np.isfinite(quick.saliency).all()
    with pytest.raises(InputError, match="gradcam finds nothing"):
        session(scene[0], clip, exact=True, saliency="gradcam")
    assert session(scene[0], clip, exact=True).choices["saliency"] == "m2ib"
