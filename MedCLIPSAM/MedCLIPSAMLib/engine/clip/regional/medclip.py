"""MedCLIP (Wang et al., EMNLP 2022): chest X-rays and texts, with a ResNet-50 or a Swin transformer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from ..pixels import Colours
from .base import WithBert
from .reading import Checkpoint
from .residual import ResidualNet

_SIDE = 224
_MEAN, _STD = 0.5862785803043838, 0.27950088968644304
_COLOURS: Colours = (_MEAN, _MEAN, _MEAN), (_STD, _STD, _STD)
_STATES = (1, 2, -1)  # hidden states of BERT that count
_CONTEXT = 77
_SWIN = (
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.", ""),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.self\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.self\.relative", ".attn.relative"),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)


class MedCLIP(WithBert):
    """The picture's feature is the projected mean of its cells; as the projection is linear, each cell has its share.

    Args:
        before: (N, 3, S, S) -> (N, R, C), see `MappedModel.cells_before`.
        at: (N, R, C) of that -> the layer of `MappedModel.activations`, and what makes the last cells of it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        image: nn.Module,
        projection: nn.Linear,
        before: Callable[[Tensor], Tensor],
        at: Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]],
    ) -> None:
        self._before, self._at, self._project = before, at, projection
        self._project_text = checkpoint.linear(checkpoint.under("text_model.projection_head."))
        text = checkpoint.bert(checkpoint.under("text_model.model."))
        parts = nn.ModuleList([image, projection, self._project_text, text])
        (scale,) = checkpoint.under("logit_scale").values()
        scale = min(max(float(scale), 0.0), math.log(100))
        tokenize = self._reads(checkpoint, text, _CONTEXT)
        super().__init__(checkpoint, device, tokenize, parts, _SIDE, _COLOURS, math.exp(scale))

    @torch.no_grad()
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`; 7 x 7."""
        seen, last_cells = self._at(self.cells_before(pixels))
        cells = self._project(last_cells(seen))
        return torch.cat([cells.mean(1, keepdim=True), cells], 1)

    @torch.no_grad()
    def cells_before(self, pixels: Tensor) -> Tensor:
        """See `MappedModel.cells_before`; 7 x 7."""
        return self._before(pixels.to(self.device))

    def activations(self, cells: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """See `MappedModel.activations`: the last layer of the ResNet, or the norm that opens Swin's last block."""
        seen, last_cells = self._at(cells)
        return seen, lambda seen: self._project(last_cells(seen).mean(1))

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`; padding counts as the authors' does: give texts of one length."""
        states = self._hidden(ids)
        return self._project_text(torch.stack([states[number].mean(1) for number in _STATES]).mean(0))

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """Nothing: features of texts are enough."""
        return ()

    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`: the mean over cells is the cosine of picture and text."""
        whole = regions[:, 0].norm(dim=1, keepdim=True)
        return regions[:, 1:] @ target / whole, None


def load_resnet(checkpoint: Checkpoint, device: torch.device) -> MedCLIP:
    """From the authors' checkpoint with a ResNet-50.

    Raises:
        ModelError: it is none.
    """
    state = checkpoint.under("vision_model.model.")
    projection = checkpoint.linear({"weight": state.pop("fc.weight")})
    net = ResidualNet.of(checkpoint, state)

    def before(pixels: Tensor) -> Tensor:
        return net(pixels)[-1].flatten(2).transpose(1, 2)

    return MedCLIP(checkpoint, device, net, projection, before, lambda cells: (cells, lambda seen: seen))


def load_swin(checkpoint: Checkpoint, device: torch.device) -> MedCLIP:
    """From the authors' checkpoint with a Swin transformer.

    Raises:
        ModelError: it is none.
    """
    state = _as_timm(checkpoint, checkpoint.under("vision_model.model."))
    projection = checkpoint.linear(checkpoint.under("vision_model.projection_head."))
    depths = Counter(int(name.split(".")[1]) for name in state if name.endswith(".norm1.weight"))
    tables = [
        checkpoint.shape(state, f"layers.{stage}.blocks.0.attn.relative_position_bias_table", 2)
        for stage in sorted(depths)
    ]
    width, _, patch, _ = checkpoint.shape(state, "patch_embed.proj.weight", 4)
    hidden, _ = checkpoint.shape(state, "layers.0.blocks.0.mlp.fc1.weight", 2)
    net = SwinTransformer(
        _SIDE,
        patch,
        num_classes=0,
        embed_dim=width,
        depths=tuple(depths[stage] for stage in sorted(depths)),
        num_heads=tuple(heads for _, heads in tables),
        window_size=(math.isqrt(tables[0][0]) + 1) // 2,
        mlp_ratio=hidden / width,
    )
    net = checkpoint.fill(net, state)
    split = _SplitSwin(net)
    return MedCLIP(checkpoint, device, net, projection, split.before_last, split.at_last)


class _SplitSwin:
    """timm's Swin transformer, parted at the norm that opens its last block: (N, R, C) all of it."""

    def __init__(self, net: Any) -> None:
        self._net, (*self._blocks, self._last) = net, net.layers[-1].blocks

    def before_last(self, pixels: Tensor) -> Tensor:
        x = self._net.patch_embed(pixels)
        for stage in self._net.layers[:-1]:
            x = stage(x)
        x = self._net.layers[-1].downsample(x)
        for block in self._blocks:
            x = block(x)
        return x.flatten(1, 2)

    def at_last(self, cells: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        x = cells.unflatten(1, (math.isqrt(cells.shape[1]), -1))

        def last_cells(seen: Tensor) -> Tensor:
            given = self._last.norm1.register_forward_hook(lambda *_: seen.view_as(x))
            try:
                return self._net.norm(self._last(x)).flatten(1, 2)
            finally:
                given.remove()

        return self._last.norm1(x).flatten(1, 2), last_cells


def _as_timm(checkpoint: Checkpoint, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The hub's names of a Swin transformer's tensors as timm has them, which merges patches before a stage."""
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, replacement in _SWIN:
            name = re.sub(pattern, replacement, name)
        if ".downsample." in name:
            _, stage, rest = name.split(".", 2)
            name = f"layers.{int(stage) + 1}.{rest}"
        named[name] = tensor
    for name in [name for name in named if ".attn.query." in name]:
        parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if any(part not in named for part in parts):
            raise checkpoint.unfit(f"no '{parts[1]}' or '{parts[2]}'")
        named[name.replace(".query.", ".qkv.")] = torch.cat([named.pop(part) for part in parts])
    return named
