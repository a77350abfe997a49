"""BiomedCLIP (Zhang et al., arXiv:2303.00915) from a folder, in either of its layouts, with no network.

open_clip's own loader asks the Hugging Face hub for the configuration of the text tower, even when all files
are there; here everything is taken from the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..errors import ModelError
from ..files.checksum import sha256
from ..files.weights import read_state_dict
from .bert import BertSize, BertTower, FolderTokenizer
from .dual import DualEncoder
from .folder import (
    HUGGING_FACE_CONFIG,
    HUGGING_FACE_WEIGHTS,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    find_weights,
    read_config,
)
from .layouts import HUB, HUGGING_FACE, misfit, rename
from .pixels import CLIP_COLOURS
from .timm_tower import TimmTower

_POOLER = "cls_last_hidden_state_pooler"
_CONTEXT = 256  # tokens of text that BiomedCLIP was trained with
_LOGIT_SCALE = 85.2  # exp(4.4454), BiomedCLIP's, where a file does not tell it
# Of all layer norms, as MedCLIP-SAMv2 runs BiomedCLIP (timm's own is 1e-6), so that both layouts give the same.
_EPSILON = 1e-12
# What Python, PyTorch and timm raise where a configuration and its weights do not fit.
_MISFITS = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, AssertionError)


def load_hub_layout(folder: Path, device: torch.device) -> DualEncoder:
    """The hub's layout: open_clip_config.json, open_clip_pytorch_model.bin or .safetensors, tokenizer files.

    Raises:
        ModelError: a file is missing or damaged, or the model is not a timm ViT beside a BERT.
    """
    weights = find_weights(folder, OPEN_CLIP_WEIGHTS)
    config = read_config(folder / OPEN_CLIP_CONFIG)
    try:
        read = read_state_dict(weights)
        state = rename(read, HUB)
        model = config["model_cfg"]
        vision, text = model["vision_cfg"], model["text_cfg"]
        pooler = text.get("hf_pooler_type", _POOLER)
        if pooler != _POOLER:
            raise ModelError(
                f"'{folder}' has a text tower with {pooler}, not BiomedCLIP's class token: use BiomedCLIP."
            )
        size = BertSize.of(state, epsilon=_EPSILON)
        context = text.get("context_length", _CONTEXT)
        norm = partial(nn.LayerNorm, eps=_EPSILON)
        with torch.device("meta"):
            trunk = timm.create_model(vision["timm_model_name"], num_classes=0, norm_layer=norm)
            towers = _Towers(trunk, model["embed_dim"], size)
    except _MISFITS as error:
        raise _unfit(weights, f"no {error}" if isinstance(error, KeyError) else str(error)) from error
    options = config.get("preprocess_cfg", {})
    scale = _logit_scale(read)
    return _assemble(towers, state, weights, context, options.get("mean"), options.get("std"), device, scale)


def load_hugging_face_layout(folder: Path, device: torch.device) -> DualEncoder:
    """The layout of the fine-tuned MedCLIP-SAMv2 checkpoint: config.json, pytorch_model.bin or .safetensors.

    Raises:
        ModelError: a file is missing or damaged, or the model is no BiomedCLIP.
    """
    weights = find_weights(folder, HUGGING_FACE_WEIGHTS)
    config = read_config(folder / HUGGING_FACE_CONFIG)
    try:
        read = read_state_dict(weights)
        state = rename(read, HUGGING_FACE)
        vision, text = config["vision_config"], config["text_config"]
        activations = {part.get("hidden_act", "gelu") for part in (vision, text, config["text_projection_config"])}
        if activations != {"gelu"}:
            raise ModelError(
                f"'{folder}' uses {', '.join(sorted(activations))}, not BiomedCLIP's gelu: use BiomedCLIP."
            )
        epsilon = text.get("layer_norm_eps", _EPSILON)
        size = BertSize.of(state, text["num_attention_heads"], epsilon, text.get("pad_token_id", 0))
        norm = partial(nn.LayerNorm, eps=vision.get("layer_norm_eps", _EPSILON))
        with torch.device("meta"):
            trunk = VisionTransformer(
                img_size=vision["image_size"],
                patch_size=vision["patch_size"],
                embed_dim=vision["hidden_size"],
                depth=vision["num_hidden_layers"],
                num_heads=vision["num_attention_heads"],
                mlp_ratio=vision["intermediate_size"] / vision["hidden_size"],
                norm_layer=norm,
                num_classes=0,
            )
            towers = _Towers(trunk, config["projection_dim"], size)
    except _MISFITS as error:
        raise _unfit(weights, f"no {error}" if isinstance(error, KeyError) else str(error)) from error
    options = read_config(path) if (path := folder / "preprocessor_config.json").is_file() else {}
    mean, std = options.get("image_mean"), options.get("image_std")
    return _assemble(towers, state, weights, _CONTEXT, mean, std, device, _logit_scale(read))


class _Towers(nn.Module):
    def __init__(self, trunk: nn.Module, embed_dim: int, size: BertSize) -> None:
        super().__init__()
        self.vision = TimmTower(trunk, nn.Linear(cast(int, trunk.num_features), embed_dim, bias=False))
        self.text = BertTower(size)


def _assemble(
    towers: _Towers,
    state: dict[str, Tensor],
    weights: Path,
    context: int,
    mean: list[float] | None,
    std: list[float] | None,
    device: torch.device,
    logit_scale: float,
) -> DualEncoder:
    """Fills the towers, which are built without storage, with the tensors of the file."""
    if problem := misfit(towers.state_dict(), state):
        raise _unfit(weights, problem)
    towers.load_state_dict(state, assign=True)
    towers = towers.eval().requires_grad_(False).to(device)
    return DualEncoder(
        name=weights.parent.resolve().name,
        checksum=sha256(weights),
        network=towers,
        vision=towers.vision,
        text=towers.text,
        tokenize=FolderTokenizer(weights.parent, min(context, towers.text.position.num_embeddings)),
        mean=mean or CLIP_COLOURS[0],
        std=std or CLIP_COLOURS[1],
        device=device,
        logit_scale=logit_scale,
    )


def _logit_scale(state: Mapping[str, Tensor]) -> float:
    return float(state["logit_scale"].double().exp()) if "logit_scale" in state else _LOGIT_SCALE


def _unfit(weights: Path, problem: str) -> ModelError:
    return ModelError(
        f"'{weights}' is not a BiomedCLIP as its folder describes it ({problem}): use the files of one model."
    )
