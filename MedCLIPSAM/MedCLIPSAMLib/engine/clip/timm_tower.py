"""timm's vision transformer, split after any block."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

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
        *blocks, last = self.trunk.blocks
        for block in blocks[layer + 1 :]:
            tokens = block(tokens)
        if layer + 1 < self.block_count:
            tokens = _class_token_after(last, tokens)
        return self.head(self.trunk.forward_head(self.trunk.norm(tokens)))


def _class_token_after(block: Any, tokens: Tensor) -> Tensor:
    """(N, T, W) -> (N, 1, W): the class token after the last block, where nothing reads the others any more.

    Of a block of ViT-B this leaves a sixth of the work, the keys and values.
    """
    if not _is_plain(block):
        return block(tokens)[:, :1]
    own, seen = block.attn, block.norm1(tokens).transpose(0, 1)
    attended, _ = F.multi_head_attention_forward(
        seen[:1],
        seen,
        seen,
        tokens.shape[-1],
        own.num_heads,
        in_proj_weight=own.qkv.weight,
        in_proj_bias=own.qkv.bias,
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=own.proj.weight,
        out_proj_bias=own.proj.bias,
        training=False,
        need_weights=False,
    )
    token = tokens[:, :1] + block.ls1(attended.transpose(0, 1))
    return token + block.ls2(block.mlp(block.norm2(token)))


def _is_plain(block: Any) -> bool:
    """Whether its attention is the textbook's, with no gate and no norms of its own."""
    if type(block) is not Block or type(block.attn) is not Attention or block.attn.gate is not None:
        return False
    return all(type(part) is nn.Identity for part in (block.attn.q_norm, block.attn.k_norm, block.attn.norm))
