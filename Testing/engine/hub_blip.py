"""Folders of BLIP and BLIP-2 as the hub has them: written by transformers itself, small, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BertTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2ForImageTextRetrieval,
    Blip2Model,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipModel,
    BlipProcessor,
)

from .regional import WORDS

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
SIDE = 64
_VOCABULARY = len(WORDS) + 2  # the two that BLIP adds come last
# Heads and norms are not those of LAVIS, so that a configuration that is not read is seen.
_VISION = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": SIDE,
    "patch_size": 16,
    "layer_norm_eps": 1e-2,
}
_TEXT = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "bos_token_id": _VOCABULARY - 2,
    "sep_token_id": WORDS.index("[SEP]"),
    "layer_norm_eps": 3e-2,
}
_LANGUAGE = {
    "model_type": "opt",
    "vocab_size": 20,
    "hidden_size": 16,
    "word_embed_proj_dim": 16,
    "ffn_dim": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}
RETRIEVAL = {"blip": BlipForImageTextRetrieval, "blip-2": Blip2ForImageTextRetrieval}
OTHERS = {
    "blip": (BlipForConditionalGeneration, BlipForQuestionAnswering, BlipModel),
    "blip-2": (Blip2ForConditionalGeneration, Blip2Model),
}


def genuine(name: str, kind: Any = None) -> Any:
    """A model of transformers with attention that can be seen, in float32; ``kind``: its class, else for retrieval."""
    if name == "blip":
        config = BlipConfig(text_config=dict(_TEXT), vision_config=dict(_VISION), image_text_hidden_size=32)
    else:
        reader = {**_TEXT, "use_qformer_text_input": kind is None}
        config = Blip2Config(
            qformer_config=reader,
            vision_config=dict(_VISION),
            text_config=dict(_LANGUAGE),
            num_query_tokens=6,
            image_text_hidden_size=32,
        )
    config._attn_implementation = "eager"
    model = (kind or RETRIEVAL[name])(config).eval()
    generator = torch.Generator().manual_seed(11)
    for name_, parameter in model.named_parameters():  # its own beginnings are so small that nothing would be seen
        norm = parameter.dim() == 1 and name_.endswith("weight")
        nn.init.normal_(parameter, 1 if norm else 0, 0.2, generator=generator)
    return model


def published_size(name: str) -> Any:
    """A model as large as the published one, on whatever device is chosen."""
    if name == "blip":
        return BlipForImageTextRetrieval(BlipConfig(text_config={"num_attention_heads": 12}))
    reader = {"vocab_size": 30523, "use_qformer_text_input": True}
    return Blip2ForImageTextRetrieval(Blip2Config(qformer_config=reader))


def write_tokenizer(folder: Path, whole: bool) -> None:
    """vocab.txt, or for ``whole`` tokenizer.json."""
    words = folder / "vocab.txt"
    words.write_text("\n".join(WORDS) + "\n")
    if whole:
        BertTokenizer(str(words)).save_pretrained(folder)
        words.unlink()


def write_folder(folder: Path, model: Any, form: str = "model.safetensors") -> Path:
    """A folder as the hub has it.

    Args:
        form: name of its weights, or of the index of weights in several files.
    """
    folder.mkdir(parents=True)
    model.save_pretrained(folder, max_shard_size="100KB" if form == "model.safetensors.index.json" else "1GB")
    if form.startswith("pytorch_model.bin"):
        (folder / "model.safetensors").unlink()
        _write_bin(folder, model.state_dict(), form)
    write_tokenizer(folder, whole=form.endswith(".json"))
    pictures = BlipImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=MEAN, image_std=STD)
    if form == "model.safetensors":  # as since version 5; the tokenizer in it is not that of `form`
        content = {"image_processor": pictures.to_dict(), "processor_class": BlipProcessor.__name__}
        (folder / "processor_config.json").write_text(json.dumps(content))
    else:
        (folder / "preprocessor_config.json").write_text(pictures.to_json_string())
    return folder


def _write_bin(folder: Path, state: dict[str, torch.Tensor], form: str) -> None:
    if not form.endswith(".json"):
        torch.save(state, folder / form)
        return
    files = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    listed = {name: files[number % 2] for number, name in enumerate(state)}
    for file in files:
        torch.save({name: state[name] for name in listed if listed[name] == file}, folder / file)
    (folder / form).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listed}))
