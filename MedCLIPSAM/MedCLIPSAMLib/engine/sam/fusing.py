"""Layers of a network joined into fewer passes over memory, with the same result to rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


class _ThenGelu(nn.Module):
    """A convolution or linear layer and the exact GELU of its result."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or not _has_fused(x):
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
    return (
        torch.backends.mkldnn.is_available()
        and not (torch.is_grad_enabled() and x.requires_grad)
        and hasattr(operators, "_linear_pointwise")
        and hasattr(operators, "_convolution_pointwise")
    )
