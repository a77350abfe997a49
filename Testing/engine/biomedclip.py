"""Folders of BiomedCLIP with random weights, in the two layouts it is handed round in."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

_POOL = 1_000_003  # numbers to draw from: drawing hundreds of millions would take long

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "liver", "spleen", "ct", "of", "the", "##s"]


@dataclass(frozen=True)
class Size:
    """Of both towers; the head count of the image tower is timm's for its name."""

    timm_name: str
    image_width: int
    image_blocks: int
    image_heads: int
    text_width: int
    text_blocks: int
    vocabulary: int
    positions: int
    joint: int
    image_size: int = 224
    patch: int = 16


BIOMEDCLIP = Size("vit_base_patch16_224", 768, 12, 12, 768, 12, 30522, 512, 512)
TINY = Size("vit_tiny_patch16_224", 192, 12, 3, 64, 2, 128, 64, 64)


def random_state(size: Size, seed: int = 0) -> dict[str, Tensor]:
    """Weights in the hub's layout, half precision."""
    generator = torch.Generator().manual_seed(seed)
    pool = (torch.randn(_POOL, generator=generator) * 0.02).half()

    def normal(*shape: int) -> Tensor:
        count = math.prod(shape)
        first = int(torch.randint(_POOL, (1,), generator=generator))
        return pool.repeat(count // _POOL + 2)[first : first + count].view(shape).clone()

    def norm(name: str, width: int) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + normal(width), f"{name}.bias": normal(width)}

    def linear(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
        return {f"{name}.weight": normal(outputs, inputs), f"{name}.bias": normal(outputs)}

    width, tokens = size.image_width, (size.image_size // size.patch) ** 2 + 1
    state = {
        "logit_scale": torch.tensor(4.4454),
        "visual.trunk.cls_token": normal(1, 1, width),
        "visual.trunk.pos_embed": normal(1, tokens, width),
        "visual.trunk.patch_embed.proj.weight": normal(width, 3, size.patch, size.patch),
        "visual.trunk.patch_embed.proj.bias": normal(width),
        **norm("visual.trunk.norm", width),
        "visual.head.proj.weight": normal(size.joint, width),
    }
    for block in range(size.image_blocks):
        name = f"visual.trunk.blocks.{block}"
        state |= norm(f"{name}.norm1", width) | norm(f"{name}.norm2", width)
        state |= linear(f"{name}.attn.qkv", width, 3 * width) | linear(f"{name}.attn.proj", width, width)
        state |= linear(f"{name}.mlp.fc1", width, 4 * width) | linear(f"{name}.mlp.fc2", 4 * width, width)
    width, bert = size.text_width, "text.transformer"
    state |= {
        f"{bert}.embeddings.word_embeddings.weight": normal(size.vocabulary, width),
        f"{bert}.embeddings.position_embeddings.weight": normal(size.positions, width),
        f"{bert}.embeddings.token_type_embeddings.weight": normal(2, width),
        **norm(f"{bert}.embeddings.LayerNorm", width),
    }
    for block in range(size.text_blocks):
        name = f"{bert}.encoder.layer.{block}"
        for part in ("query", "key", "value"):
            state |= linear(f"{name}.attention.self.{part}", width, width)
        state |= linear(f"{name}.attention.output.dense", width, width)
        state |= norm(f"{name}.attention.output.LayerNorm", width)
        state |= linear(f"{name}.intermediate.dense", width, 4 * width)
        state |= linear(f"{name}.output.dense", 4 * width, width) | norm(f"{name}.output.LayerNorm", width)
    hidden = (width + size.joint) // 2
    return state | {"text.proj.0.weight": normal(hidden, width), "text.proj.2.weight": normal(size.joint, hidden)}


def write_hub(folder: Path, size: Size, state: dict[str, Tensor]) -> Path:
    """open_clip_config.json, open_clip_pytorch_model.bin and tokenizer.json, as the hub has them."""
    folder.mkdir()
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    name = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    model = {
        "embed_dim": size.joint,
        "vision_cfg": {
            "timm_model_name": size.timm_name,
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": size.image_size,
        },
        "text_cfg": {
            "hf_model_name": name,
            "hf_tokenizer_name": name,
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 256,
        },
    }
    preprocess = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    _write_json(folder / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_hugging_face(folder: Path, size: Size, state: dict[str, Tensor]) -> Path:
    """config.json, pytorch_model.bin and vocab.txt, as the fine-tuned checkpoint has them."""
    folder.mkdir()
    torch.save(_hugging_face_names(state), folder / "pytorch_model.bin")
    config = {
        "architectures": ["BiomedCLIPModel"],
        "projection_dim": size.joint,
        "vision_config": {
            "hidden_act": "gelu",
            "hidden_size": size.image_width,
            "image_size": size.image_size,
            "intermediate_size": 4 * size.image_width,
            "layer_norm_eps": 1e-12,
            "num_attention_heads": size.image_heads,
            "num_hidden_layers": size.image_blocks,
            "patch_size": size.patch,
        },
        "text_config": {
            "hidden_act": "gelu",
            "hidden_size": size.text_width,
            "intermediate_size": 4 * size.text_width,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": size.positions,
            "num_attention_heads": size.text_width // 64,
            "num_hidden_layers": size.text_blocks,
            "pad_token_id": 0,
            "type_vocab_size": 2,
            "vocab_size": size.vocabulary,
        },
        "text_projection_config": {
            "hidden_act": "gelu",
            "hidden_size": size.text_width,
            "intermediate_size": (size.text_width + size.joint) // 2,
            "projection_dim": size.joint,
        },
    }
    _write_json(folder / "config.json", config)
    (folder / "vocab.txt").write_text("\n".join(WORDS), "utf-8")
    return folder


_NAMES = {
    r"visual\.head\.proj\.": "visual_projection.",
    r"visual\.trunk\.cls_token": "vision_model.embeddings.class_embedding",
    r"visual\.trunk\.pos_embed": "vision_model.embeddings.position_embedding.weight",
    r"visual\.trunk\.patch_embed\.proj\.": "vision_model.embeddings.patch_embedding.",
    r"visual\.trunk\.norm\.": "vision_model.post_layernorm.",
    r"visual\.trunk\.blocks\.": "vision_model.encoder.layers.",
    r"\.attn\.proj\.": ".self_attn.out_proj.",
    r"\.norm([12])\.": r".layer_norm\1.",
    r"text\.proj\.0\.": "text_projection.fc1.",
    r"text\.proj\.2\.": "text_projection.fc2.",
    r"text\.transformer\.embeddings\.(word|position)_embeddings\.": r"text_model.embeddings.\1_embedding.",
    r"embeddings\.word_embedding\.": "embeddings.token_embedding.",
    r"text\.transformer\.embeddings\.token_type_embeddings\.": "text_model.embeddings.token_type_embedding.",
    r"text\.transformer\.embeddings\.LayerNorm\.": "text_model.embeddings.layer_norm.",
    r"text\.transformer\.encoder\.layer\.": "text_model.encoder.layers.",
    r"\.attention\.self\.query\.": ".self_attn.q_proj.",
    r"\.attention\.self\.key\.": ".self_attn.k_proj.",
    r"\.attention\.self\.value\.": ".self_attn.v_proj.",
    r"\.attention\.output\.dense\.": ".self_attn.out_proj.",
    r"\.attention\.output\.LayerNorm\.": ".layer_norm1.",
    r"\.intermediate\.dense\.": ".mlp.fc1.",
    r"\.output\.dense\.": ".mlp.fc2.",
    r"\.output\.LayerNorm\.": ".layer_norm2.",
}


def _hugging_face_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for old, tensor in state.items():
        name = old
        for pattern, replacement in _NAMES.items():
            name = re.sub(pattern, replacement, name)
        if ".attn.qkv." in name:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[name.replace("attn.qkv", f"self_attn.{letter}_proj")] = part.clone()
        elif name.endswith("class_embedding"):
            renamed[name] = tensor[0, 0]
        elif name.endswith("vision_model.embeddings.position_embedding.weight"):
            renamed[name] = tensor[0]
        else:
            renamed[name] = tensor
    return renamed


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), "utf-8")
