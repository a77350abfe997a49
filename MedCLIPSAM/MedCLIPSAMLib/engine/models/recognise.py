"""Which model a checkpoint is of, told from the names and shapes of its tensors; file names count for nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import ModelError

_SAM_BY_WIDTH = {768: "sam-vit-b", 1024: "sam-vit-l", 1280: "sam-vit-h"}
# A tensor that only this kind of checkpoint has, and the models of the catalogue that it may be of.
_CLIPS = {
    "text.transformer.embeddings.word_embeddings.weight": ("biomedclip",),
    "text_model.embeddings.token_type_embedding.weight": ("medclip-samv2", "biomedclip"),
    "visual.class_embedding": ("clip-vit-b-16",),
}
_VIT_B_16 = (768, 3, 16, 16)  # shape of its patch embedding


def segmenter_of(state: Mapping[str, Tensor]) -> str | None:
    """The segmenter that tensors belong to, SAM ViT-B standing for MedSAM, too; None if they are of none."""
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return "lite-medsam"
    position = state.get("image_encoder.pos_embed")
    return _SAM_BY_WIDTH.get(position.shape[-1]) if position is not None and position.ndim else None


def models_of(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Models of the catalogue that tensors may be of, the likeliest first."""
    segmenter = segmenter_of(state)
    if segmenter is not None:
        return ("sam-vit-b", "medsam-vit-b") if segmenter == "sam-vit-b" else (segmenter,)
    for tensor, names in _CLIPS.items():
        if tensor in state:
            patches = state.get("visual.conv1.weight")
            other_clip = names == ("clip-vit-b-16",) and (patches is None or tuple(patches.shape) != _VIT_B_16)
            return () if other_clip else names
    return ()


def check_numbers(state: Mapping[str, Tensor], file: str) -> None:
    """Refuses weights that are no numbers.

    Raises:
        ModelError: a tensor has NaN or infinite values.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"'{file}' is damaged: {name} has values that are no numbers; fetch the file again.")
