"""timm's vision transformer, split after any block."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from ..errors import ModelError
from .attention import AttentionBlock, into_first, not_plain
from .blocks import FrozenBlocks, read_by_first


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
        self.published_part = "norm2"
        self.block_count = len(trunk.blocks)
        self._later = FrozenBlocks(list(trunk.blocks), _class_token_after, _unfuse_attention)

    def features(self, pixels: Tensor) -> Tensor:
        return self.head(self.trunk(pixels))

    def tokens_before(self, pixels: Tensor) -> Tensor:
        return into_first(self.trunk.blocks, lambda: self.tokens_after(pixels, 0))

    def block(self, number: int) -> AttentionBlock:
        own: Any = self.trunk.blocks[number]
        if not _is_plain(own):
            raise not_plain()
        return AttentionBlock(
            own.norm1,
            own.norm2,
            own.attn.qkv.weight,
            own.attn.qkv.bias,
            own.attn.num_heads,
            lambda read: own.ls1(own.attn.proj(read)),
            lambda normed: own.ls2(own.mlp(normed)),
        )

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
        tokens = self._later(tokens, layer + 1)
        with torch.autocast(tokens.device.type, enabled=False):  # one token an image
            return self.head(self.trunk.forward_head(self.trunk.norm(tokens)))


def _class_token_after(block: Any, tokens: Tensor) -> Tensor:
    """(N, T, W) -> (N, 1, W): the class token after the last block, where nothing reads the others any more."""
    if not _is_plain(block):
        return block(tokens)[:, :1]
    own = block.attn
    read = read_by_first(block.norm1(tokens), own.qkv.weight, own.qkv.bias, own.num_heads)
    token = tokens[:, :1] + block.ls1(own.proj(read)).unsqueeze(1)
    return token + block.ls2(block.mlp(block.norm2(token)))


def _unfuse_attention(block: Any) -> None:
    for part in block.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False


def _is_plain(block: Any) -> bool:
    """Whether its attention is the textbook's, with no gate and no norms of its own."""
    if type(block) is not Block or type(block.attn) is not Attention or block.attn.gate is not None:
        return False
    return all(type(part) is nn.Identity for part in (block.attn.q_norm, block.attn.k_norm, block.attn.norm))
