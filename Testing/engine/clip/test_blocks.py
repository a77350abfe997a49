"""The later blocks of image towers in bfloat16, against float32 and against the towers as they come."""

from __future__ import annotations

import open_clip
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.blocks import read_by_first
from MedCLIPSAMLib.engine.clip.openclip import OpenClipTower
from MedCLIPSAMLib.engine.clip.timm_tower import TimmTower
from MedCLIPSAMLib.engine.machine.precision import computing_in

CPU = torch.device("cpu")
LAYER, DEPTH = 1, 4


def timm_tower(**options) -> TimmTower:
    trunk = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=DEPTH, num_heads=3, num_classes=0, **options
    )
    return TimmTower(trunk, nn.Linear(48, 10))


def open_clip_tower(**options) -> OpenClipTower:
    vision = {"image_size": 32, "patch_size": 8, "width": 48, "layers": DEPTH, "head_width": 16, **options}
    text = {"context_length": 8, "vocab_size": 99, "width": 16, "heads": 1, "layers": 1}
    return OpenClipTower(open_clip.CLIP(10, vision, text).visual)  # type: ignore[arg-type]


TOWERS = {
    "timm": timm_tower,
    "timm, layer scale, no bias": lambda: timm_tower(init_values=0.3, qkv_bias=False),
    "timm, normed queries": lambda: timm_tower(qk_norm=True),
    "open_clip": open_clip_tower,
    "open_clip, layer scale": lambda: open_clip_tower(ls_init_value=0.3),
}


@pytest.fixture(params=TOWERS)
def tower(request) -> TimmTower | OpenClipTower:
    torch.manual_seed(0)
    made = TOWERS[request.param]()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.2)
    return made.eval().requires_grad_(False)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(6, 17, 48, generator=torch.Generator().manual_seed(1))


def answer(tower, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Features, and the gradient of what they have in common with a text."""
    tokens = tokens.clone().requires_grad_()
    features = tower.features_after(tokens, LAYER)
    text = torch.linspace(-1, 1, features.shape[1])
    (gradient,) = torch.autograd.grad(F.cosine_similarity(features.float(), text, dim=1).sum(), tokens)
    return features.detach(), gradient


def alike(ours: Tensor, expected: Tensor) -> float:
    return float(F.cosine_similarity(ours.double().flatten(), expected.double().flatten(), dim=0))


@pytest.mark.filterwarnings("ignore:TF32")  # PyTorch's, of its switch for oneDNN
@pytest.mark.parametrize("onednn", [True, False])
def test_blocks_in_bfloat16_give_what_they_give_in_float32(tower, tokens, onednn: bool) -> None:
    features, gradient = answer(tower, tokens)
    with torch.backends.mkldnn.flags(enabled=onednn), computing_in(torch.bfloat16, CPU):
        ours, slope = answer(tower, tokens)
    assert (ours.dtype, slope.dtype) == (torch.float32, torch.float32)
    assert alike(ours, features) > 0.9995
    assert alike(slope, gradient) > 0.998


def test_the_format_of_the_tokens_counts_where_autocast_is_off(tower, tokens) -> None:
    with computing_in(torch.bfloat16, CPU):
        expected, _ = answer(tower, tokens.bfloat16())
    ours, slope = answer(tower, tokens.bfloat16())
    assert torch.equal(ours, expected)
    assert slope.dtype == torch.bfloat16


def test_as_near_to_float32_as_autocast_comes(tower, tokens) -> None:
    features, _ = answer(tower, tokens)
    with computing_in(torch.bfloat16, CPU):
        ours, _ = answer(tower, tokens)
        plainly = tokens
        for block in tower._later._blocks[LAYER + 1 :]:
            plainly = block(plainly)
        plainly = tower.features_after(plainly.float(), DEPTH - 1)
    assert (ours - features).norm() < 3 * (plainly - features).norm()


def test_copies_are_made_of_the_later_blocks_and_held_while_they_are_used(tower, tokens) -> None:
    copies, names = tower._later._copies, set(tower.state_dict())
    assert len(copies) == 0, "none before one is asked for"
    with computing_in(torch.bfloat16, CPU):
        tower.features_after(tokens, LAYER)
        assert len(copies) == DEPTH - LAYER - 1, "the blocks before the bottleneck are not copied"
    assert all(weight.dtype == torch.float32 for weight in tower.parameters())
    assert set(tower.state_dict()) == names
    tower.features_after(tokens, LAYER)
    assert len(copies) == 0


@pytest.mark.parametrize("bias", [True, False])
def test_what_the_first_token_reads_is_what_attention_gives_it(tokens, bias: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(48, 3, bias=bias, batch_first=True)
    weight, own_bias = attention.in_proj_weight.detach(), attention.in_proj_bias
    if own_bias is not None:
        nn.init.normal_(own_bias)
    expected, _ = attention(tokens, tokens, tokens)
    read = read_by_first(tokens, weight, own_bias, 3)
    torch.testing.assert_close(attention.out_proj(read), expected[:, 0])
