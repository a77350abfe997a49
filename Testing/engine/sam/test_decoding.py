"""The decoder that leaves the picture alone gives what SAM's own gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from segment_anything.build_sam import _build_sam
from torch import Tensor

from MedCLIPSAMLib.engine.sam.decoding import MaskDecoding
from MedCLIPSAMLib.engine.sam.registry import load_segmenter


@pytest.fixture(scope="module", params=["lite-medsam", "sam"])
def network(request) -> Any:
    """LiteMedSAM as it is built in, and SAM's own classes with random weights."""
    if request.param == "lite-medsam":
        lite: Any = load_segmenter("lite-medsam", "cpu")
        return lite._network
    torch.manual_seed(0)
    made = _build_sam(encoder_embed_dim=48, encoder_depth=1, encoder_num_heads=2, encoder_global_attn_indexes=[0])
    for weight in made.mask_decoder.parameters():
        weight.data.normal_(std=0.1)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features() -> Tensor:
    return torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(2))


BOXES = torch.tensor([[20.0, 30, 150, 140], [60, 60, 70, 90], [0, 0, 255, 255]])
CLICKS = torch.tensor([[[40.0, 50], [90, 20]]]).repeat(3, 1, 1), torch.tensor([[1.0, 0]]).repeat(3, 1)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(
    "prompts", [{"boxes": BOXES[:1]}, {"boxes": BOXES}, {"points": CLICKS}, {"boxes": BOXES, "points": CLICKS}]
)
def test_masks_and_scores_are_those_of_sams_decoder(network, features, prompts, multimask) -> None:
    positions = network.prompt_encoder.get_dense_pe()
    with torch.inference_mode():
        sparse, dense = network.prompt_encoder(**{"points": None, "boxes": None, "masks": None} | prompts)
        expected = network.mask_decoder(features, positions, sparse, dense, multimask)
        ours = MaskDecoding(network.mask_decoder, positions)(features, sparse, dense, multimask)
    for made, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
