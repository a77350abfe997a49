"""SAM's mask decoder for few prompts on one picture, whose thousands of image tokens are all but left alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class MaskDecoding:
    """Computes what SAM's mask decoder does (Kirillov et al., arXiv:2304.02643, appendix A), in a fraction of the time.

    A prompt is about seven tokens, a picture 4096. So every projection of the picture is made on the side of the
    prompt instead: q (x W)^T is (q W^T) x^T, and the mean of values is the value of a mean. The picture is never
    transposed, and of the masks only those that are asked for are drawn.

    Args:
        decoder: of segment-anything, with its weights; it is left as it is.
        positions: (1, C, h, w) of the picture's tokens.
    """

    def __init__(self, decoder: Any, positions: Tensor) -> None:
        self._decoder = decoder
        self._positions = positions.flatten(2).mT.contiguous()
        self._grid = positions.shape[2:]
        self._finer = [_as_product(decoder.output_upscaling[number]) for number in (0, 3)]

    def __call__(self, features: Tensor, sparse: Tensor, dense: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
        """Logits (B, M, 4 h, 4 w) and the expected quality (B, M) of the masks of B prompts.

        Args:
            features: (1, C, h, w) of the picture.
            sparse: (B, P, C) tokens of the prompts.
            dense: (1, C, h, w) or an expansion of it, what is added to the picture where no mask is a prompt.
            multimask: M is 3 instead of 1.
        """
        own = self._decoder
        fixed = torch.cat([own.iou_token.weight, own.mask_tokens.weight])
        tokens = torch.cat([fixed.expand(len(sparse), -1, -1), sparse], 1)
        picture = (features + dense[:1]).flatten(2).mT.contiguous()
        asked, picture = self._attended(tokens, picture)
        wanted = range(1, own.num_mask_tokens) if multimask else range(1)
        drawing = torch.stack([own.output_hypernetworks_mlps[n](asked[:, 1 + n]) for n in wanted], 2)
        logits = self._upscaled(picture) @ drawing
        return self._arranged(logits), own.iou_prediction_head(asked[:, 0])[:, wanted.start : wanted.stop]

    def _attended(self, tokens: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) tokens and (1, h w, C) picture after they have looked at each other: (B, T, C) and (B, h w, C)."""
        own = self._decoder.transformer
        asking = tokens
        for number, layer in enumerate(own.layers):
            if number == 0:
                asking = layer.norm1(layer.self_attn(q=asking, k=asking, v=asking))
            else:
                placed = asking + tokens
                asking = layer.norm1(asking + layer.self_attn(q=placed, k=placed, v=asking))
            where = picture + self._positions
            asking = layer.norm2(asking + _ask(layer.cross_attn_token_to_image, asking + tokens, where, picture))
            asking = layer.norm3(asking + layer.mlp(asking))
            told = _tell(layer.cross_attn_image_to_token, picture, where, asking + tokens, asking)
            picture = layer.norm4(told)
        where = picture + self._positions
        seen = _ask(own.final_attn_token_to_image, asking + tokens, where, picture)
        return own.norm_final_attn(asking + seen), picture

    def _upscaled(self, picture: Tensor) -> Tensor:
        """(B, h w, C) -> (B, h w 16, C / 8), the sixteen parts of each token in turn; see `_arranged`."""
        _, norm, activation, _, last_activation = self._decoder.output_upscaling
        (first, first_bias), (second, second_bias) = self._finer
        parts = (picture @ first).unflatten(2, (4, -1)) + first_bias
        parts = activation(F.layer_norm(parts, parts.shape[-1:], norm.weight, norm.bias, norm.eps))
        return last_activation((parts @ second).unflatten(3, (4, -1)) + second_bias).flatten(1, 3)

    def _arranged(self, parts: Tensor) -> Tensor:
        """(B, h w 16, M) -> (B, M, 4 h, 4 w): each token was cut in 2 x 2 parts, and each of these again."""
        height, width = self._grid
        parts = parts.unflatten(1, (height, width, 2, 2, 2, 2))
        return parts.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(parts), -1, 4 * height, 4 * width)


def _ask(attention: Any, query: Tensor, where: Tensor, picture: Tensor) -> Tensor:
    """(B, T, C) what the tokens of prompts see in a picture; its ``where`` (B or 1, N, C) is compared with ``query``.

    The bias of the keys shifts all scores of a token alike, which softmax takes away.
    """
    heads = attention.num_heads
    query = attention.q_proj(query).unflatten(2, (heads, -1))
    keys, values = (layer.weight.unflatten(0, (heads, -1)) for layer in (attention.k_proj, attention.v_proj))
    query = torch.einsum("bthd,hdc->bhtc", query * query.shape[-1] ** -0.5, keys)
    seen = (query.flatten(1, 2) @ where.mT).softmax(-1) @ picture
    seen = torch.einsum("bhtc,hdc->bthd", seen.unflatten(1, (heads, -1)), values).flatten(2)
    return attention.out_proj(seen + attention.v_proj.bias)


def _tell(attention: Any, picture: Tensor, where: Tensor, keys: Tensor, tokens: Tensor) -> Tensor:
    """(B, N, C) the picture and what it takes from the (B, T, C) tokens, whose ``keys`` are compared with ``where``."""
    heads = attention.num_heads
    keys, values = (
        layer(given).unflatten(2, (heads, -1))
        for layer, given in ((attention.k_proj, keys), (attention.v_proj, tokens))
    )
    keys = keys * keys.shape[-1] ** -0.5
    queries, outputs = attention.q_proj, attention.out_proj
    compared = torch.einsum("bthd,hdc->bhtc", keys, queries.weight.unflatten(0, (heads, -1)))
    shift = torch.einsum("bthd,hd->bht", keys, queries.bias.unflatten(0, (heads, -1)))
    scores = (compared.flatten(1, 2) @ where.mT).unflatten(1, (heads, -1)) + shift.unsqueeze(3)
    values = torch.einsum("bthd,chd->bhtc", values, outputs.weight.unflatten(1, (heads, -1))).flatten(1, 2)
    shares = scores.softmax(2).flatten(1, 2)
    return torch.baddbmm((picture + outputs.bias).expand(len(tokens), -1, -1), shares.mT, values)


def _as_product(layer: Any) -> tuple[Tensor, Tensor]:
    """A transposed convolution without overlap as a matrix (C, 4 C') and a bias (C')."""
    return layer.weight.permute(0, 2, 3, 1).flatten(1).contiguous(), layer.bias
