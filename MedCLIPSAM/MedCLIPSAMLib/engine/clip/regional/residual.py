"""Residual networks (He et al., CVPR 2016), as many of their layers as a checkpoint has."""

from __future__ import annotations

import re
from collections.abc import Mapping

from timm.models.resnet import BasicBlock, Bottleneck, downsample_conv
from torch import Tensor, nn
from torch.nn import functional as F

from .reading import Checkpoint

_STAGE = re.compile(r"^layer(\d)\.(\d+)\.")
_IN_ORDER = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class ResidualNet(nn.Module):
    """(N, 3, S, S) -> features after each of its layers, a list of (N, C, h, w).

    Blocks are timm's; it has no network whose first widths can be chosen, as small checkpoints need.

    Attributes:
        widths: channels after each layer.
    """

    def __init__(self, first: int, stages: list[tuple[int, int]], deep: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, first, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        block, inputs, layers = Bottleneck if deep else BasicBlock, first, []
        for number, (width, count) in enumerate(stages):
            layer = []
            for place in range(count):
                stride = 2 if number and not place else 1
                outputs = width * block.expansion
                changed = stride > 1 or inputs != outputs
                shortcut = downsample_conv(inputs, outputs, 1, stride) if not place and changed else None
                layer.append(block(inputs, width, stride, shortcut))
                inputs = outputs
            layers.append(nn.Sequential(*layer))
            self.add_module(f"layer{number + 1}", layers[-1])
        self._layers = layers
        self.widths = [width * block.expansion for width, _ in stages]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x, seen = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels))), 3, 2, 1), []
        for layer in self._layers:
            x = layer(x)
            seen.append(x)
        return seen

    @classmethod
    def of(cls, checkpoint: Checkpoint, state: Mapping[str, Tensor]) -> ResidualNet:
        """From tensors under torchvision's names; its sizes are theirs.

        Raises:
            ModelError: they are of no such network.
        """
        counts: dict[int, int] = {}
        for name in state:
            if match := _STAGE.match(name):
                counts[int(match[1])] = max(counts.get(int(match[1]), 0), int(match[2]) + 1)
        stages = [
            (checkpoint.shape(state, f"layer{number}.0.conv1.weight", 4)[0], counts[number])
            for number in sorted(counts)
        ]
        net = cls(checkpoint.shape(state, "conv1.weight", 4)[0], stages, "layer1.0.conv3.weight" in state)
        return checkpoint.fill(net, state)


def in_order(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of a network that was stored as a plain sequence, as torchvision has them."""
    named = {}
    for name, tensor in state.items():
        number, _, rest = name.partition(".")
        named[f"{_IN_ORDER.get(number, number)}.{rest}"] = tensor
    return named
