"""timm's vision transformer, split after any block."""

from __future__ import annotations

from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..errors import ModelError


class TimmTower(nn.Module):
    """A timm `VisionTransformer` and the projection into the joint space.

    Args:
        trunk: read out at its one class token, on square images.
        head: (N, W) -> (N, D).

    Raises:
        ModelError: the trunk is another kind of network.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        if not isinstance(trunk, VisionTransformer) or trunk.global_pool != "token" or trunk.num_prefix_tokens != 1:
            raise ModelError(
                f"The image tower ({type(trunk).__name__}) is not a vision transformer read out at its class"
                " token, which saliency needs: choose another CLIP."
            )
        rows, columns = trunk.patch_embed.grid_size
        if rows != columns:
            raise ModelError(f"The image tower takes {rows} x {columns} patches, not a square: choose another CLIP.")
        self.trunk = trunk
        self.head = head
        self.image_size = int(trunk.patch_embed.img_size[0])
        self.grid = int(rows)
        self.width = int(trunk.embed_dim)
        self.block_count = len(trunk.blocks)

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        intermediates: Any = self.trunk.forward_intermediates(
            pixels,
            indices=[layer],
            return_prefix_tokens=True,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        patches, prefix = intermediates[0]
        return torch.cat([prefix, patches], dim=1)

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        for block in self.trunk.blocks[layer + 1 :]:
            tokens = block(tokens)
        return self.head(self.trunk.forward_head(self.trunk.norm(tokens)))
