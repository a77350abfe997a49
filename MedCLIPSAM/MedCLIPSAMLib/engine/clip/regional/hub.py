"""BLIP and BLIP-2 from LAVIS's checkpoints, or as the Hugging Face hub has them, with other names of tensors.

The hub's layout is that of the package transformers: `BlipForImageTextRetrieval` (Salesforce/blip-itm-base-coco) and
`Blip2ForImageTextRetrieval` (Salesforce/blip2-itm-vit-g). Names are translated; heads, norms and colours are read from
what lies beside the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import ModelError
from ...files.renames import Renames, renamed
from ..folder import HUGGING_FACE_CONFIG, PREPROCESSING, read_config
from ..pixels import CLIP_COLOURS, Channels, Colours
from .blip import BLIP, BLIP2, Matching, Untold
from .reading import Checkpoint

_MARK = "vision_model.embeddings.class_embedding"  # only the hub's layout has it
_COLOURS = "image_mean", "image_std"
_VISION: Renames = (
    (r"^vision_model\.embeddings\.class_embedding$", "visual_encoder.cls_token"),
    (r"^vision_model\.embeddings\.position_embedding$", "visual_encoder.pos_embed"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual_encoder.patch_embed.proj."),
    (r"^(vision_model\..*)\.self_attn\.projection\.", r"\1.attn.proj."),
    (r"^(vision_model\..*)\.self_attn\.", r"\1.attn."),
    (r"^(vision_model\..*)\.layer_norm(1|2)\.", r"\1.norm\2."),
    (r"^vision_model\.encoder\.layers\.", "visual_encoder.blocks."),
)


@dataclass(frozen=True)
class _Kind:
    """How one of the two is stored.

    Attributes:
        model_type: as its configuration calls it.
        text: section of the configuration on what reads the image.
        words: tensor of all tokens, under LAVIS's names.
        heads, epsilon: of the image tower and of what reads it, where a configuration leaves them out.
    """

    model_type: str
    text: str
    words: str
    renames: Renames
    heads: tuple[int, int]
    epsilon: tuple[float, float]


_BLIP = _Kind(
    "blip",
    "text_config",
    "text_encoder.embeddings.word_embeddings.weight",
    (*_VISION, (r"^vision_model\.post_layernorm\.", "visual_encoder.norm.")),
    (12, 8),
    (1e-5, 1e-12),
)
_BLIP2 = _Kind(
    "blip-2",
    "qformer_config",
    "Qformer.bert.embeddings.word_embeddings.weight",
    (
        *_VISION,
        (r"^vision_model\.post_layernorm\.", "ln_vision."),
        (r"^embeddings\.", "Qformer.bert.embeddings."),
        (r"^qformer\.layernorm\.", "Qformer.bert.embeddings.LayerNorm."),
        (r"^qformer\.", "Qformer.bert."),
        (r"\.(attention|crossattention)\.attention\.", r".\1.self."),
        (r"^(vision|text)_projection\.", r"\1_proj."),
    ),
    (16, 12),
    (1e-6, 1e-12),
)


def load_blip(checkpoint: Checkpoint, device: torch.device) -> Matching:
    """BLIP, in either layout.

    Raises:
        ModelError: it is none, or what lies beside it does not belong to it.
    """
    if not in_hub_layout(checkpoint.state):
        return BLIP(checkpoint, device)
    return BLIP(*_translated(checkpoint, device, _BLIP))


def load_blip2(checkpoint: Checkpoint, device: torch.device) -> Matching:
    """BLIP-2, in either layout; raises as `load_blip`."""
    if not in_hub_layout(checkpoint.state):
        return BLIP2(checkpoint, device)
    return BLIP2(*_translated(checkpoint, device, _BLIP2))


def in_hub_layout(state: Mapping[str, Tensor]) -> bool:
    """Whether tensors of BLIP or BLIP-2 are named as in folders of the hub, not as LAVIS names them."""
    return _MARK in state


def check_beside(checkpoint: Checkpoint) -> None:
    """Reads what lies beside weights in the hub's layout.

    Raises:
        ModelError: it is missing or damaged, or does not belong to them.
    """
    kind = _BLIP2 if "query_tokens" in checkpoint.state else _BLIP
    _untold(_renamed(checkpoint, kind), kind)


def _translated(checkpoint: Checkpoint, device: torch.device, kind: _Kind) -> tuple[Checkpoint, torch.device, Untold]:
    named = _renamed(checkpoint, kind)
    return named, device, _untold(named, kind)


def _renamed(checkpoint: Checkpoint, kind: _Kind) -> Checkpoint:
    named = {renamed(name, kind.renames): tensor for name, tensor in checkpoint.state.items()}
    return replace(checkpoint, state=named)


def _untold(checkpoint: Checkpoint, kind: _Kind) -> Untold:
    """What the configuration says, held against tensors under LAVIS's names."""
    state, folder = checkpoint.state, checkpoint.weights.parent
    config = _Config(folder / HUGGING_FACE_CONFIG)
    if config.content.get("model_type") != kind.model_type:
        raise config.unfit(f"its model_type is not {kind.model_type}")
    width, _, patch, _ = checkpoint.shape(state, "visual_encoder.patch_embed.proj.weight", 4)
    tokens = checkpoint.shape(state, "visual_encoder.pos_embed", 3)[1]
    side = math.isqrt(max(tokens - 1, 0)) * patch
    vocabulary, text_width = checkpoint.shape(state, kind.words, 2)
    config.check("vision_config", hidden_size=width, image_size=side, patch_size=patch)
    config.check(kind.text, hidden_size=text_width, vocab_size=vocabulary)
    image_epsilon = config.epsilon("vision_config", kind.epsilon[0])
    return Untold(
        image_heads=config.heads("vision_config", width, kind.heads[0]),
        text_heads=config.heads(kind.text, text_width, kind.heads[1]),
        image_epsilon=image_epsilon,
        last_epsilon=image_epsilon,
        text_epsilon=config.epsilon(kind.text, kind.epsilon[1]),
        colours=_colours(folder, side),
    )


class _Config:
    """The configuration beside weights.

    Raises:
        ModelError: it is missing or damaged; by all methods, that it is of other weights.
    """

    def __init__(self, file: Path) -> None:
        self.content = read_config(file)
        self._file = file

    def heads(self, part: str, width: int, absent: int) -> int:
        """How many heads share ``width``."""
        heads = self._part(part).get("num_attention_heads", absent)
        if type(heads) is not int or heads < 1 or width % heads:
            raise self.unfit(f"{part}: num_attention_heads")
        return heads

    def epsilon(self, part: str, absent: float) -> float:
        """Of the norms."""
        epsilon = self._part(part).get("layer_norm_eps", absent)
        if type(epsilon) not in (int, float) or not 0 <= epsilon < 1:
            raise self.unfit(f"{part}: layer_norm_eps")
        return float(epsilon)

    def check(self, part: str, **sizes: int) -> None:
        """Compares ``sizes`` of tensors with what it says, and that the activation is the one that is computed here."""
        said = self._part(part)
        wrong = [name for name, size in sizes.items() if said.get(name, size) not in (size, [size, size])]
        if said.get("hidden_act", "gelu") != "gelu":
            wrong.append("hidden_act")
        if wrong:
            raise self.unfit(f"{part}: {', '.join(wrong)}")

    def unfit(self, problem: str) -> ModelError:
        """What is said of a configuration that is not of the weights beside it."""
        return ModelError(
            f"'{self._file}' does not describe the weights beside it ({problem}): copy both from one model."
        )

    def _part(self, name: str) -> dict[str, Any]:
        part = self.content.get(name)
        if not isinstance(part, dict):
            raise self.unfit(f"no {name}")
        return part


def _colours(folder: Path, side: int) -> Colours:
    """Mean and spread of pictures, as published where no file tells them.

    Raises:
        ModelError: a file is damaged, or of weights that take pictures of another ``side``.
    """
    file = next((folder / name for name in PREPROCESSING if (folder / name).is_file()), None)
    if file is None:
        return CLIP_COLOURS
    options = read_config(file)
    options = options.get("image_processor", options)
    size = options.get("size", side) if isinstance(options, dict) else None
    if not all(each == side for each in (size.values() if isinstance(size, dict) else [size])):
        raise ModelError(
            f"'{file}' is not for pictures of {side} x {side} pixels, which the weights beside it take: copy both from"
            " one model."
        )
    mean, spread = (_channels(options.get(key, default)) for key, default in zip(_COLOURS, CLIP_COLOURS, strict=True))
    if mean is None or spread is None or min(spread) <= 0:
        raise ModelError(f"'{file}' has no {' and '.join(_COLOURS)} of three colours: copy the file again.")
    return mean, spread


def _channels(values: object) -> Channels | None:
    if not isinstance(values, (list, tuple)) or len(values) != 3:
        return None
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        return None
    red, green, blue = map(float, values)
    return red, green, blue
