"""open_clip's models by name, from weights that are already on this computer, or from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from ..errors import ModelError
from ..files.checksum import sha256
from ..files.weights import read_state_dict
from ..machine.device import ran_out
from ..models.catalogue import entries
from .attention import AttentionBlock, into_first, not_plain
from .blocks import FrozenBlocks, PlainAttention, read_by_first
from .dual import DualEncoder, VisionTower
from .folder import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, find_weights, read_config
from .timm_tower import TimmTower

_HUB_FILES = [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
_URL_CACHE = Path("~/.cache/clip")
_TORCHSCRIPT_HOST = "openaipublic"  # OpenAI's own files are programs, which are not loaded


class OpenClipTower(nn.Module):
    """open_clip's `VisionTransformer`, split after any block.

    Raises:
        ModelError: it is not read out at its class token, or not square.
    """

    def __init__(self, visual: VisionTransformer) -> None:
        super().__init__()
        rows, columns = visual.grid_size
        if visual.attn_pool is not None or visual.pool_type != "tok" or rows != columns:
            raise ModelError(
                "The image tower is not a vision transformer read out at its class token on a square image,"
                " which saliency needs: choose another CLIP."
            )
        self.visual = visual
        self.image_size = int(visual.image_size[0])
        self.grid = int(rows)
        self.width = len(visual.class_embedding)
        self.published_part = "output"
        self.block_count = len(visual.transformer.resblocks)
        self._later = FrozenBlocks(list(visual.transformer.resblocks), _class_token_after, _unfuse_attention)

    def features(self, pixels: Tensor) -> Tensor:
        return self.visual(pixels)

    def tokens_before(self, pixels: Tensor) -> Tensor:
        return into_first(self.visual.transformer.resblocks, lambda: self.tokens_after(pixels, 0))

    def block(self, number: int) -> AttentionBlock:
        own: Any = self.visual.transformer.resblocks[number]
        if type(own) is not ResidualAttentionBlock:
            raise not_plain()
        return AttentionBlock(
            own.ln_1,
            own.ln_2,
            own.attn.in_proj_weight,
            own.attn.in_proj_bias,
            own.attn.num_heads,
            lambda read: own.ls_1(own.attn.out_proj(read)),
            lambda normed: own.ls_2(own.mlp(normed)),
        )

    def tokens_after(self, pixels: Tensor, layer: int) -> Tensor:
        output = self.visual.forward_intermediates(
            pixels,
            indices=[layer],
            stop_early=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
        return torch.cat([output["image_intermediates_prefix"][0], output["image_intermediates"][0]], dim=1)

    def features_after(self, tokens: Tensor, layer: int) -> Tensor:
        tokens = self._later(tokens, layer + 1)
        with torch.autocast(tokens.device.type, enabled=False):  # one token an image
            return self.visual.ln_post(tokens[:, 0]) @ self.visual.proj


def _class_token_after(block: Any, tokens: Tensor) -> Tensor:
    """(N, T, W) -> (N, 1, W): the class token after the last block, where nothing reads the others any more."""
    if type(block) is not ResidualAttentionBlock:
        return block(tokens)[:, :1]
    own = block.attn
    read = read_by_first(block.ln_1(tokens), own.in_proj_weight, own.in_proj_bias, own.num_heads)
    token = tokens[:, :1] + block.ls_1(own.out_proj(read)).unsqueeze(1)
    return token + block.ls_2(block.mlp(block.ln_2(token)))


def _unfuse_attention(block: Any) -> None:
    if type(block) is ResidualAttentionBlock:
        block.attn = PlainAttention(block.attn)


def load_by_name(name: str, device: torch.device) -> DualEncoder:
    """A model of open_clip's own list: NAME:TAG, or NAME:FILE with a weights file.

    A tag needs its weights in a cache of this computer; nothing is downloaded.

    Raises:
        ModelError: the name or tag is unknown, has no weights here, or the model cannot be split.
    """
    architecture, _, source = name.partition(":")
    config = open_clip.get_model_config(architecture)
    if config is None:
        known = ", ".join(entry.name for entry in entries("clip"))
        raise ModelError(f"There is no CLIP named '{name}': give {known}, a model's folder, or an open_clip NAME:TAG.")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    options: dict[str, Any] = {}
    if source in tags:
        options = open_clip.get_pretrained_cfg(architecture, source)
        weights = _cached(options)
        if weights is None:
            raise ModelError(f"The weights of '{name}' are not on this computer: download them first.")
    elif Path(source).is_file():
        weights = Path(source)
    else:
        known = " or ".join(f"{architecture}:{tag}" for tag in [*tags[:3], "FILE"])
        raise ModelError(f"'{name}' does not say which weights to use: give one, such as {known}.")
    return _load(
        name,
        architecture,
        config,
        weights,
        device,
        pretrained=str(weights),
        force_quick_gelu=bool(options.get("quick_gelu")),
        force_preprocess_cfg={key: options[key] for key in ("mean", "std") if key in options},
    )


def load_folder(folder: Path, device: torch.device) -> DualEncoder:
    """A model in open_clip's layout (open_clip_config.json beside its weights) with its own text tower.

    Raises:
        ModelError: a file is missing or damaged, or the model cannot be split.
    """
    config = read_config(folder / OPEN_CLIP_CONFIG).get("model_cfg", {})
    weights = find_weights(folder, OPEN_CLIP_WEIGHTS)
    return _load(folder.resolve().name, f"local-dir:{folder}", config, weights, device)


def cached_names() -> list[str]:
    """NAME:TAG of the pretrained models whose weights are on this computer."""
    return [
        f"{architecture}:{tag}"
        for architecture, tag in open_clip.list_pretrained()
        if _cached(open_clip.get_pretrained_cfg(architecture, tag)) is not None
    ]


def _cached(options: dict[str, Any]) -> Path | None:
    """Where open_clip and the Hugging Face hub would have put the weights of a tag."""
    repository, _, file = options.get("hf_hub", "").rpartition("/")
    if repository:
        candidates = [str(Path(file).with_suffix(".safetensors")), file] if file else _HUB_FILES
        for candidate in candidates:
            path = try_to_load_from_cache(repository, candidate)
            if isinstance(path, str):
                return Path(path)
    url = options.get("url", "")
    path = _URL_CACHE.expanduser() / url.rpartition("/")[2]
    return path if _TORCHSCRIPT_HOST not in url and path.is_file() else None


def _load(
    name: str, source: str, config: dict[str, Any], weights: Path, device: torch.device, **options: Any
) -> DualEncoder:
    if {"hf_model_name", "hf_tokenizer_name"} & config.get("text_cfg", {}).keys():
        raise ModelError(
            f"The text tower of '{name}' is not open_clip's own, which is needed here: choose another CLIP."
        )
    try:
        model = open_clip.create_model(source, **options)
    except Exception as error:  # a file that does not fit fails anywhere inside open_clip
        if ran_out(error):
            raise
        read_state_dict(weights)  # says so if the file itself is at fault
        raise ModelError(f"'{weights}' does not fit the CLIP '{name}': use the weights of this model.") from error
    model = model.eval().requires_grad_(False).to(device)
    return DualEncoder(
        name=name,
        checksum=sha256(weights),
        network=model,
        vision=_split(name, model.visual),
        text=model.encode_text,
        tokenize=open_clip.get_tokenizer(source),
        mean=model.visual.preprocess_cfg["mean"],
        std=model.visual.preprocess_cfg["std"],
        device=device,
        logit_scale=float(model.logit_scale.double().exp()),
    )


def _split(name: str, visual: nn.Module) -> VisionTower:
    if isinstance(visual, VisionTransformer):
        return OpenClipTower(visual)
    if isinstance(visual, TimmModel):
        return TimmTower(cast(nn.Module, visual.trunk), cast(nn.Module, visual.head))
    raise ModelError(
        f"The image tower of '{name}' ({type(visual).__name__}) is not a vision transformer,"
        " which saliency needs: choose a CLIP such as ViT-B-16."
    )
