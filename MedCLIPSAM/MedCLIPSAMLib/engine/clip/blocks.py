"""The later blocks of a vision transformer, run again and again with a gradient for their input alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..machine.copies import FrozenCopies, format_for
from ..machine.precision import computing_in


class FrozenBlocks:
    """The frozen blocks of an image tower, in the format that autocast asks for or, without it, that the tokens have.

    On a CPU, blocks run in another format than float32 as copies, 14 MB for a block of ViT-B in bfloat16.

    Args:
        blocks: (N, T, W) -> (N, T, W), all of the tower.
        class_token_after: a block and (N, T, W) before it -> (N, 1, W), its class token.
        plain_attention: lets a copy compute its attention without PyTorch's fused one, whose backward pass takes as
            long on 197 tokens in bfloat16 as all the rest of a block.
    """

    def __init__(
        self,
        blocks: Sequence[Any],
        class_token_after: Callable[[Any, Tensor], Tensor],
        plain_attention: Callable[[Any], None],
    ) -> None:
        self._blocks = blocks
        self._class_token_after = class_token_after
        self._copies = FrozenCopies(blocks, plain_attention)

    def __call__(self, tokens: Tensor, first: int) -> Tensor:
        """(N, T, W) tokens before block ``first`` -> float32 (N, 1, W), the class token after the last block.

        Nothing is left to do where ``first`` is the number of the blocks: (N, T, W) as it is, in float32.
        """
        dtype, device = format_for(tokens), tokens.device
        if dtype == torch.float32 or device.type != "cpu":
            self._copies.drop()
            with computing_in(dtype, device):
                return self._run(self._blocks[first:], tokens).float()
        copies = [self._copies.of(number, dtype) for number in range(first, len(self._blocks))]
        with torch.autocast(device.type, enabled=False):
            return self._run(copies, tokens.to(dtype)).float()

    def _run(self, blocks: Sequence[Any], tokens: Tensor) -> Tensor:
        if not blocks:
            return tokens
        for block in blocks[:-1]:
            tokens = block(tokens)
        return self._class_token_after(blocks[-1], tokens)


class PlainAttention(nn.Module):
    """`nn.MultiheadAttention` of tokens among themselves as the textbook has it, with the weights of another."""

    def __init__(self, fused: nn.MultiheadAttention) -> None:
        super().__init__()
        self.in_proj_weight, self.in_proj_bias, self.out_proj = fused.in_proj_weight, fused.in_proj_bias, fused.out_proj
        self.num_heads = fused.num_heads

    def forward(self, seen: Tensor, *_same: Any, **_no_mask: Any) -> tuple[Tensor, None]:
        """(N, T, W) -> (N, T, W), and no weights."""
        packed = nn.functional.linear(seen, self.in_proj_weight, self.in_proj_bias)
        packed = packed.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, N, heads, T, W / heads)
        query, key, value = packed.contiguous()
        shares = (query * query.shape[-1] ** -0.5 @ key.mT).softmax(-1)
        return self.out_proj((shares @ value).transpose(1, 2).flatten(2)), None


def read_by_first(seen: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """What the first of T tokens reads of all of them by attention, before the projection of its output.

    Neither keys nor values are made: the one query is taken through the weights of the keys, and the mean of what it
    looks at through those of the values. The bias of the keys shifts all scores alike, which softmax takes away.

    Args:
        seen: (N, T, W).
        weight: (3 W', W) of queries, keys and values; bias: (3 W',).

    Returns:
        (N, W')

    """
    of_query, of_keys, of_values = weight.unflatten(0, (3, heads, -1))
    query = torch.einsum("nw,hdw->nhd", seen[:, 0], of_query)
    if bias is not None:
        query = query + bias.unflatten(0, (3, heads, -1))[0]
    scores = torch.einsum("nhd,hdw->nhw", query * query.shape[-1] ** -0.5, of_keys) @ seen.mT
    read = torch.einsum("nhw,hdw->nhd", scores.softmax(-1) @ seen, of_values).flatten(1)
    return read if bias is None else read + bias.chunk(3)[2]
