"""Which model a checkpoint is of, told from the names and shapes of its tensors.

File names count for nothing, but between SAM ViT-B and MedSAM, which have the same tensors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..clip.shards import places, read_weights
from ..errors import ModelError
from ..files.checksum import sha256
from .catalogue import find_entry

_POSITION, _HUB_POSITION = "image_encoder.pos_embed", "vision_encoder.pos_embed"  # of SAM, in its two layouts
_SAM_B, _MEDSAM = "sam-vit-b", "medsam-vit-b"
_SAM_BY_WIDTH = {768: (_SAM_B, _MEDSAM), 1024: ("sam-vit-l",), 1280: ("sam-vit-h",)}
# A tensor that only this kind of checkpoint has, and the models of the catalogue that it may be of.
_CLIPS = {
    "text.transformer.embeddings.word_embeddings.weight": ("biomedclip",),
    "text_model.embeddings.token_type_embedding.weight": ("medclip-samv2", "biomedclip"),
    "visual.class_embedding": ("clip-vit-b-16",),
    "gloria.img_encoder.global_embedder.weight": ("gloria",),
    "vision_model.model.fc.weight": ("medclip-resnet",),
    "vision_model.model.embeddings.patch_embeddings.projection.weight": ("medclip-swin",),
    "disease_embedding_layer.weight": ("medklip",),
    "model/mlp_head.0.weight": ("kad",),
    "ll_attention.key_projection.weight": ("lovt",),
    "text_encoder.encoder.layer.0.crossattention.self.query.weight": ("blip",),
    "Qformer.bert.embeddings.word_embeddings.weight": ("blip-2",),
    "text_decoder.bert.encoder.layer.0.crossattention.self.query.weight": ("blip",),
    "text_model.encoder.layer.0.crossattention.self.query.weight": ("blip",),
    "qformer.encoder.layer.0.crossattention.attention.query.weight": ("blip-2",),
}
# Both come for captions and answers too, without the head that says whether a text matches; those that have one:
_HEAD = "itm_head.weight"
_WITH_HEAD = {
    "blip": "one for retrieval, such as Salesforce/blip-itm-base-coco of the hub",
    "blip-2": "Salesforce/blip2-itm-vit-g of the hub, or LAVIS's blip2_pretrained.pth",
}
_VIT_B_16 = (768, 3, 16, 16)  # shape of its patch embedding


def read_checkpoint(weights: Path) -> dict[str, Tensor]:
    """Tensors by name, of one file, or of several that an index lists; on the CPU.

    Raises:
        DeviceError: there is too little memory.
        ModelError: a file is missing or damaged, holds code, or is no checkpoint; or it is a BLIP or BLIP-2 that cannot
            say whether a text matches.
    """
    _check_head(places(weights) or (), weights)  # before many gigabytes are read
    state = read_weights(weights)
    _check_head(state, weights)
    return state


def _check_head(names: Collection[str], weights: Path) -> None:
    models = next((models for tensor, models in _CLIPS.items() if tensor in names), ())
    needed = next((_WITH_HEAD[name] for name in models if name in _WITH_HEAD), None)
    if needed is not None and _HEAD not in names:
        raise ModelError(
            f"'{weights}' was trained for other tasks and has no head that says whether a text matches a picture"
            f" (itm_head): take {needed}."
        )


def in_hub_layout(state: Mapping[str, Tensor]) -> bool:
    """Whether tensors of SAM are named as in folders of the hub, not as segment-anything names them."""
    return _HUB_POSITION in state


def segmenters_of(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The segmenters that tensors may be of: one, none, or SAM ViT-B and MedSAM, between which `model_of` decides."""
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return ("lite-medsam",)
    position = state.get(_HUB_POSITION if in_hub_layout(state) else _POSITION)
    if position is None or not position.ndim:
        return ()
    return _SAM_BY_WIDTH.get(position.shape[-1], ())


def models_of(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Models of the catalogue that tensors may be of, the likeliest first."""
    if segmenters := segmenters_of(state):
        return segmenters
    for tensor, names in _CLIPS.items():
        if tensor in state:
            patches = state.get("visual.conv1.weight")
            other_clip = names == ("clip-vit-b-16",) and (patches is None or tuple(patches.shape) != _VIT_B_16)
            return () if other_clip else names
    return ()


def model_of(state: Mapping[str, Tensor], weights: Path, given: Path) -> str:
    """The one of `models_of`, which must have found some, that a person means who does not say.

    Between SAM ViT-B and MedSAM, the publisher's checksum tells SAM's own file. Else the name of the file, of its
    folder, of the hub's cache round that, or of what was given tells. Where none does, segment-anything's layout is
    taken for MedSAM, as the file is not SAM's own.

    Args:
        weights: the file with the tensors.
        given: what the person chose: that file, or a folder or a zip file with it.

    Raises:
        ModelError: it is SAM ViT-B or MedSAM in the hub's layout, and nothing tells which.
    """
    possible = models_of(state)
    if _MEDSAM not in possible:
        return possible[0]
    hub = in_hub_layout(state)
    if not hub and sha256(weights) in find_entry(_SAM_B).sha256.values():
        return _SAM_B
    folder = weights.absolute().parent
    cache = folder.parent.parent if folder.parent.name == "snapshots" else folder
    for path in (weights, folder, cache, given.absolute()):
        name = re.sub(r"[^a-z]", "", path.name.lower())
        if "medsam" in name:
            return _MEDSAM
        if "samvitb" in name:
            return _SAM_B
    if hub:
        raise ModelError(
            f"'{given}' may be {_SAM_B} or {_MEDSAM}, which have the same tensors: import it with --as NAME, load it as"
            " NAME:FILE, or call its folder by that name."
        )
    return _MEDSAM


def check_numbers(state: Mapping[str, Tensor], file: str) -> None:
    """Refuses weights that are no numbers.

    Raises:
        ModelError: a tensor has NaN or infinite values.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"'{file}' is damaged: {name} has values that are no numbers; fetch the file again.")
