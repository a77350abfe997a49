"""Class activation maps and their kin: each against its equation written out, for any CLIP, and in the chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.quickstart.model import load_quickstart
from MedCLIPSAMLib.engine.errors import Cancelled, InputError
from MedCLIPSAMLib.engine.machine.precision import computing_in
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.saliency import SALIENCY, TextQuery, normalise, saliency_class
from MedCLIPSAMLib.engine.saliency.cam import GradCAM, Layer
from MedCLIPSAMLib.engine.saliency.corrected import ClearCLIP
from MedCLIPSAMLib.engine.saliency.masked import GScoreCAM, Rise, ScoreCAM
from MedCLIPSAMLib.engine.saliency.nib import NIB
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Volume
from Testing import samples

from ..fakes import GreySegmenter

NEW = [name for name in SALIENCY if name not in ("m2ib", "gradient", "dense", "two-looks", "attention")]


def chosen(name: str, model: Any, **choices: Any) -> Any:
    method = saliency_class(name).chosen(model, Settings(**choices))
    return Rise(masks=40, seed=method.seed) if isinstance(method, Rise) else method


@pytest.mark.parametrize("name", NEW)
def test_a_map_depends_on_the_text_and_neither_on_batch_nor_on_order(model, pixels, name: str) -> None:
    method = chosen(name, model)
    query = TextQuery.encode(model, ["liver"])
    together = method(model, pixels, query)
    assert together.maps.shape == (5, 32, 32)
    assert together.information.shape == (5,)
    backwards = method(model, pixels.flip(0), query, slices=[4, 3, 2, 1, 0])
    assert (normalise(together.maps) - normalise(backwards.maps.flip(0))).abs().max() < 1e-3
    other = method(model, pixels, TextQuery.encode(model, ["spleen"])).maps
    assert (normalise(together.maps) - normalise(other)).abs().max() > 0.01


@pytest.mark.parametrize("name", NEW)
def test_a_map_in_bfloat16_is_that_of_float32(model, pixels, name: str) -> None:
    method, query = chosen(name, model), TextQuery.encode(model, ["liver"])
    expected = method(model, pixels, query).maps
    with computing_in(torch.bfloat16, torch.device("cpu")):
        ours = method(model, pixels, query).maps
    assert torch.isfinite(ours).all()
    for half, whole in zip(ours, expected, strict=True):
        assert torch.corrcoef(torch.stack([half.flatten().float(), whole.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("name", NEW)
def test_it_is_cancelled_between_two_steps(model, pixels, name: str) -> None:
    with pytest.raises(Cancelled):
        chosen(name, model)(model, pixels, TextQuery.encode(model, ["liver"]), cancelled=lambda: True)


@pytest.mark.parametrize("name", NEW)
def test_what_was_prepared_gives_the_features_of_the_images(model, pixels, name: str) -> None:
    method = chosen(name, model)
    features = method.image_features(model, method.prepare(model, pixels))
    assert torch.allclose(features, model.encode_image(pixels), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in NEW if "layer" in saliency_class(name).options])
def test_the_layer_is_chosen_among_those_there_are(model, name: str) -> None:
    assert chosen(name, model, layer=0).choices != chosen(name, model).choices
    with pytest.raises(InputError, match="Layer 3 does not exist in small; choose from 0 to 2"):
        chosen(name, model, layer=3)


@pytest.mark.parametrize("part", ["norm1", "norm2", "output"])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_layer_is_what_hooks_find_there(model, pixels, block: int, part: Any) -> None:
    layer, trunk = Layer(block, part), model.vision.trunk
    seen: list[Tensor] = []
    place = trunk.blocks[block] if part == "output" else getattr(trunk.blocks[block], part)
    place.register_forward_hook(lambda *given: seen.append(given[2]))
    expected = trunk(pixels)
    ours, read_out = layer.activations(model, layer.before(model, pixels))
    assert torch.allclose(ours, seen[0], atol=1e-5)
    assert torch.allclose(read_out(ours), model.vision.head(expected), atol=1e-5)


def test_patches_have_no_gradient_behind_the_last_attention(model, pixels) -> None:
    query = TextQuery.encode(model, ["liver"])
    assert not GradCAM(Layer(2, "norm2"))(model, pixels, query).maps.any()
    assert GradCAM(Layer(2, "norm1"))(model, pixels, query).maps.any()
    assert GradCAM(Layer(2, "norm2"), class_token_gradient=True)(model, pixels, query).maps.any()


def test_the_channels_with_the_largest_gradient_are_tried(model, pixels) -> None:
    query, layer = TextQuery.encode(model, ["liver"]), Layer(2)
    tokens = layer.before(model, pixels[:1])
    method = GScoreCAM(layer, most=3)
    tried = method.tried(model, tokens, query.target).tolist()
    assert tried == method.importance(model, tokens, query.target).argsort(descending=True)[:3].tolist()
    _, weights = method.weigh(model, pixels[:1], query.target, None)
    rest = np.delete(weights.numpy(), tried)
    assert np.ptp(rest) == 0, "no other channel has a score"
    everything = GScoreCAM(layer, tuple(range(24)))(model, pixels[:1], query).maps
    assert torch.allclose(everything, ScoreCAM(layer)(model, pixels[:1], query).maps, atol=1e-4)


def test_random_masks_are_those_of_the_slice(model) -> None:
    first, again, other = (torch.stack(list(Rise(masks=4).draw(32, number))) for number in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= first.min() < first.max() <= 1


def test_a_narrowing_bottleneck_sums_to_what_the_cosine_gains(model, pixels) -> None:
    """With many passes it is an integral: all tokens together gain the cosine's rise from nothing to all."""
    query = TextQuery.encode(model, ["liver"])
    tokens = model.tokens_after(pixels[:1], 1)
    passes = 400
    shares = torch.arange(1, passes + 1) / passes
    passed = (shares[:, None, None] * tokens[0]).requires_grad_()
    with torch.enable_grad():
        agreement = F.cosine_similarity(model.features_after(passed, 1), query.target, dim=-1)
        (gain,) = torch.autograd.grad(agreement.sum(), passed)
    each = (tokens[0] * gain.mean(0)).sum(-1)
    assert torch.allclose(each.sum(), agreement[-1] - agreement[0], atol=0.05)
    ours = NIB(1, passes).explain(model, tokens, query)
    assert torch.allclose(ours.information, each[1:].sum()[None], atol=1e-4)


def test_a_corrected_patch_is_read_out_as_the_class_token_is(model, pixels) -> None:
    query, block = TextQuery.encode(model, ["liver"]), model.block(2)
    tokens = model.tokens_after(pixels[:1], 1)
    query_side, _, value = block.split(block.norm1(tokens))
    logits = query_side @ query_side.mT * query_side.shape[-1] ** -0.5
    after = block.read(logits.softmax(-1), value)
    tower = model.vision
    features = F.normalize(tower.head(tower.trunk.norm(after)), dim=-1)
    expected = (features @ query.target)[:, 1:].reshape(1, 1, 4, 4)
    ours = ClearCLIP(2)(model, pixels[:1], query).maps
    assert torch.allclose(ours, F.interpolate(expected, (32, 32), mode="bilinear")[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NEW if name not in ("rise", "scorecam")])
def test_each_runs_in_the_chain_with_the_built_in_model(name: str) -> None:
    spacing = samples.ABDOMEN_MM
    volume = Volume(samples.abdomen_slice()[None], np.diag([-spacing, -spacing, 5.0, 1.0]), "CT", "abdomen")
    session = Session(volume, load_quickstart(torch.device("cpu")), GreySegmenter(), Settings(saliency=name))
    evidence = session.preview(0, Prompt("liver", ("liver",)))
    assert evidence.saliency_method == name
    assert np.isfinite(evidence.saliency).all()
    assert evidence.saliency.std() > 0
    assert evidence.score > 0.5, "presence is told by the model itself"
