"""Names of BiomedCLIP's tensors in the layouts it comes in, turned into the names of our two towers.

Ours are timm's for the image (`vision.trunk`, `vision.head`) and PyTorch's encoder for the text (`text`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..files.renames import Renames, renamed

HUB: Renames = (
    (r"^visual\.trunk\.", "vision.trunk."),
    (r"^visual\.head\.proj\.", "vision.head."),
    (r"^text\.transformer\.embeddings\.word_embeddings\.", "text.token."),
    (r"^text\.transformer\.embeddings\.position_embeddings\.", "text.position."),
    (r"^text\.transformer\.embeddings\.token_type_embeddings\.", "text.segment."),
    (r"^text\.transformer\.embeddings\.LayerNorm\.", "text.norm."),
    (r"^text\.transformer\.encoder\.layer\.", "text.encoder.layers."),
    (r"\.attention\.self\.(q|k|v)(uery|ey|alue)\.", r".self_attn.\1."),
    (r"\.attention\.output\.dense\.", ".self_attn.out_proj."),
    (r"\.attention\.output\.LayerNorm\.", ".norm1."),
    (r"\.intermediate\.dense\.", ".linear1."),
    (r"\.output\.dense\.", ".linear2."),
    (r"\.output\.LayerNorm\.", ".norm2."),
)
HUGGING_FACE: Renames = (
    (r"^visual_projection\.", "vision.head."),
    (r"^vision_model\.embeddings\.class_embedding$", "vision.trunk.cls_token"),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "vision.trunk.pos_embed"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "vision.trunk.patch_embed.proj."),
    (r"^vision_model\.post_layernorm\.", "vision.trunk.norm."),
    (r"^(vision)_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"\1.trunk.blocks.\2.attn.proj."),
    (r"^(vision)_model\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v)_proj\.", r"\1.trunk.blocks.\2.attn.\3."),
    (r"^vision_model\.encoder\.layers\.", "vision.trunk.blocks."),
    (r"^text_model\.embeddings\.token_embedding\.", "text.token."),
    (r"^text_model\.embeddings\.position_embedding\.", "text.position."),
    (r"^text_model\.embeddings\.token_type_embedding\.", "text.segment."),
    (r"^text_model\.embeddings\.layer_norm\.", "text.norm."),
    (r"^text_model\.encoder\.layers\.(\d+)\.mlp\.fc", r"text.encoder.layers.\1.linear"),
    (
        r"^text_model\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v)_proj\.",
        r"text.encoder.layers.\1.self_attn.\2.",
    ),
    (r"^text_model\.encoder\.", "text.encoder."),
    (r"^text_projection\.fc1\.", "text.proj.0."),
    (r"^text_projection\.fc2\.", "text.proj.2."),
    (r"\.layer_norm(1|2)\.", r".norm\1."),
)
_UNUSED = re.compile(r"^logit_(scale|bias)$|\.position_ids$|\.pooler\.")
_PART = re.compile(r"^(?P<module>.*)\.(?P<part>[qkv])\.(?P<kind>weight|bias)$")


def rename(state: Mapping[str, Tensor], renames: Renames) -> dict[str, Tensor]:
    """Tensors in float32 under our names, query, key and value stacked; what we do not use is left out."""
    named = {}
    for name, tensor in state.items():
        if _UNUSED.search(name):
            continue
        named[renamed(name, renames)] = tensor.float()
    for name in list(named):
        if (match := _PART.match(name)) and match["part"] == "q":
            module, kind = match["module"], match["kind"]
            parts = [named.pop(f"{module}.{letter}.{kind}", torch.empty(0)) for letter in "qkv"]
            named[_stacked(module, kind)] = torch.cat(parts)
    for name in ("vision.trunk.cls_token", "vision.trunk.pos_embed"):
        if name in named:
            named[name] = named[name].reshape(1, -1, named[name].shape[-1])
    return named


def restore(state: Mapping[str, Tensor], ours: Mapping[str, Tensor], renames: Renames) -> dict[str, Tensor]:
    """`rename` reversed: the tensors of a file with the values of ours, each of its shape; what we do not use stays."""
    made = {}
    for name, tensor in state.items():
        if _UNUSED.search(name):
            made[name] = tensor
            continue
        named = renamed(name, renames)
        if match := _PART.match(named):
            stacked = ours[_stacked(match["module"], match["kind"])]
            value = stacked.chunk(3)["qkv".index(match["part"])]
        else:
            value = ours[named]
        made[name] = value.reshape(tensor.shape).contiguous()
    return made


def misfit(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What keeps the tensors of ``state`` from those that a network wants, in words; "" if nothing does."""
    for name in sorted(wanted.keys() | state.keys()):
        if name not in state:
            return f"no '{name}'"
        if name not in wanted:
            return f"no use for '{name}'"
        if state[name].shape != wanted[name].shape:
            return f"'{name}' is of another size"
    return ""


def _stacked(module: str, kind: str) -> str:
    return f"{module}.in_proj_{kind}" if module.startswith("text.") else f"{module}.qkv.{kind}"
