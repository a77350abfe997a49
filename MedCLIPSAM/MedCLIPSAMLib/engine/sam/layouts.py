"""The layouts that SAM's weights come in: segment-anything's, which the networks have, and that of the hub.

The hub's layout is that of the package transformers (facebook/sam-vit-base, wanglab/medsam-vit-base, ...).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..files.renames import Renames, renamed
from ..models.recognise import in_hub_layout

_POSITIONS = "shared_image_embedding.positional_embedding"
_POSITIONS_AGAIN = "prompt_encoder.shared_embedding.positional_embedding"

HUB: Renames = (  # from segment-anything's names, so that what is missing can be told by its name in the file
    (r"^image_encoder\.", "vision_encoder."),
    (r"^vision_encoder\.blocks\.", "vision_encoder.layers."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
    (r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", _POSITIONS),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    # In this order: what was layer 0 must be gone before layer 1 takes its name.
    (r"\.(iou_prediction_head|output_hypernetworks_mlps\.\d+)\.layers\.0\.", r".\1.proj_in."),
    (r"\.(iou_prediction_head|output_hypernetworks_mlps\.\d+)\.layers\.1\.", r".\1.layers.0."),
    (r"\.(iou_prediction_head|output_hypernetworks_mlps\.\d+)\.layers\.2\.", r".\1.proj_out."),
    (r"\.norm(\d|_)", r".layer_norm\1"),
)
_NAMED = 3  # tensors of a kind, at most, in a sentence


def hub_name(name: str) -> str:
    """What the hub's layout calls a tensor that segment-anything calls ``name``."""
    return renamed(name, HUB)


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts weights of either layout into a network of segment-anything, in place of its own tensors.

    Raises:
        RuntimeError: the weights do not fit; it names tensors that are missing, unknown or of another shape, as the
            file calls them.
    """
    wanted = network.state_dict()
    places = {name: name for name in wanted}
    if in_hub_layout(state):
        places = {hub_name(name): name for name in wanted}
        state = _with_positions_once(state)
    misfits = {
        "missing": [name for name in places if name not in state],
        "unknown": [name for name in state if name not in places],
        "of another shape": [
            name for name, place in places.items() if name in state and state[name].shape != wanted[place].shape
        ],
    }
    if any(misfits.values()):
        raise RuntimeError("; ".join(f"{what}: {_listed(names)}" for what, names in misfits.items() if names))
    network.load_state_dict({place: state[name] for name, place in places.items()}, assign=True)


def _with_positions_once(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The hub's layout has one tensor by two names, of which a file may keep either, or both."""
    once = dict(state)
    again = once.pop(_POSITIONS_AGAIN, None)
    if again is not None and not torch.equal(once.setdefault(_POSITIONS, again), again):
        raise RuntimeError(f"{_POSITIONS} and {_POSITIONS_AGAIN} are not equal")
    return once


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
