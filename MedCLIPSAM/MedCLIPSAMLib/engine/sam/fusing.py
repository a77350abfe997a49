"""Layers of a network joined into fewer passes over memory, with the same result to rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..machine.copies import FrozenCopies, format_for
from ..machine.precision import autocast_format


def fuse_normalisation(module: Any) -> None:
    """Folds each batch normalisation ``bn`` of TinyViT into the convolution ``c`` before it."""
    for name, child in module.named_children():
        if isinstance(getattr(child, "bn", None), nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child.c, child.bn))
        else:
            fuse_normalisation(child)


def fuse_activation(module: nn.Module, *layers: str, activation: str) -> None:
    """Joins a GELU with those of the ``layers`` of ``module`` that it follows; all are named as attributes.

    On a CPU a GELU takes longer than many a convolution before it: it waits for memory.
    """
    for name in layers:
        setattr(module, name, _ThenGelu(getattr(module, name)))
    setattr(module, activation, nn.Identity())


def fuse_attention(module: nn.Module, name: str) -> None:
    """Joins scores, bias by distance, softmax and sum of an attention of TinyViT, which is the attribute ``name``."""
    setattr(module, name, _BiasedAttention(getattr(module, name)))


class InFormat(nn.Module):
    """A frozen network that runs on a CPU as a copy in the format that autocast asks for, norms and sums included.

    A copy of LiteMedSAM's encoder in bfloat16 takes 12 MB, and 0.5 to 0.6 of autocast's time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._copies = FrozenCopies([network])

    def forward(self, x: Tensor) -> Tensor:
        dtype = format_for(x)
        if dtype == torch.float32 or x.device.type != "cpu":
            self._copies.drop()
            return self.network(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._copies.of(0, dtype)(x.to(dtype)).float()


class _BiasedAttention(nn.Module):
    """TinyViT's attention within windows."""

    bias: Tensor

    def __init__(self, plain: Any) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = plain.norm, plain.qkv, plain.proj
        self.heads, self.scale = plain.num_heads, plain.scale
        self.widths = (plain.key_dim, plain.key_dim, plain.d)
        self.register_buffer("bias", plain.ab[None])

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)"""
        packed = self.qkv(self.norm(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        query, key, value = packed.split(self.widths, dim=3)
        bias = self.bias.to(query.dtype)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=self.scale)
        return self.proj(seen.transpose(1, 2).flatten(2))


class _ThenGelu(nn.Module):
    """A convolution or linear layer and the exact GELU of its result."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or autocast_format("cpu") or not _has_fused(x):
            return F.gelu(self.layer(x))
        layer, after = self.layer, ("gelu", [], "none")
        if isinstance(layer, nn.Linear):
            return torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, *after)
        where = (layer.padding, layer.stride, layer.dilation, layer.groups)
        return torch.ops.mkldnn._convolution_pointwise(x, layer.weight, layer.bias, *where, *after)


def _has_fused(x: Tensor) -> bool:
    """Whether PyTorch is built with oneDNN, and no gradient is wanted, which its fused layers do not have.

    PyTorch's compiler uses the same two operators; by themselves they need no compiler on the user's computer.
    """
    operators = torch.ops.mkldnn
    if x.dtype == torch.bfloat16 and not operators._is_mkldnn_bf16_supported():
        return False
    return (
        torch.backends.mkldnn.is_available()
        and not (torch.is_grad_enabled() and x.requires_grad)
        and hasattr(operators, "_linear_pointwise")
        and hasattr(operators, "_convolution_pointwise")
    )
