"""Folders of models with attention, GLoRIA to BLIP-2, with small random weights under the published names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "pleural",
    "effusion",
    "##s",
    "lung",
    "of",
    "the",
    "liver",
    "nothing",
    "in",
]
_TEXT, _HEAD, _BLOCKS = 64, 64, 4  # of BERT: width, width of a head, blocks
_FIRST = 8  # channels of a ResNet's first layer
_JOINT = 32
_IMAGE = 48  # width of a vision transformer


class _Draw:
    """Tensors from one seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 0.1) -> Tensor:
        return torch.randn(*shape, generator=self._generator) * scale

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True) -> State:
        state = {f"{name}.weight": self.normal(outputs, inputs)}
        return state | ({f"{name}.bias": self.normal(outputs)} if bias else {})

    def norm(self, name: str, width: int) -> State:
        return {f"{name}.weight": 1 + self.normal(width), f"{name}.bias": self.normal(width)}

    def batch_norm(self, name: str, width: int) -> State:
        spread = {f"{name}.running_mean": self.normal(width), f"{name}.running_var": torch.ones(width)}
        return self.norm(name, width) | spread | {f"{name}.num_batches_tracked": torch.tensor(1)}

    def bert(self, prefix: str, pooler: bool = True) -> State:
        w = _TEXT
        state = {
            f"{prefix}embeddings.word_embeddings.weight": self.normal(len(WORDS), w, scale=1),
            f"{prefix}embeddings.position_embeddings.weight": self.normal(48, w),
            f"{prefix}embeddings.token_type_embeddings.weight": self.normal(2, w),
            f"{prefix}embeddings.position_ids": torch.arange(48)[None],  # of older files
            **self.norm(f"{prefix}embeddings.LayerNorm", w),
        }
        for number in range(_BLOCKS):
            block = f"{prefix}encoder.layer.{number}"
            for part in ("query", "key", "value"):
                state |= self.linear(f"{block}.attention.self.{part}", w, w)
            state |= self.linear(f"{block}.attention.output.dense", w, w)
            state |= self.norm(f"{block}.attention.output.LayerNorm", w)
            state |= self.linear(f"{block}.intermediate.dense", w, 2 * w)
            state |= self.linear(f"{block}.output.dense", 2 * w, w)
            state |= self.norm(f"{block}.output.LayerNorm", w)
        return state | (self.linear(f"{prefix}pooler.dense", w, w) if pooler else {})

    def residual(self, name: Callable[[str], str], layers: int = 4, deep: bool = True) -> State:
        """A ResNet with one block a layer; ``name`` gives that of torchvision's "conv1", "layer1" and so on."""
        state = {f"{name('conv1')}.weight": self.normal(_FIRST, 3, 7, 7)} | self.batch_norm(name("bn1"), _FIRST)
        inputs = _FIRST
        for layer in range(1, layers + 1):
            block, width = f"{name(f'layer{layer}')}.0", _FIRST * 2 ** (layer - 1)
            sizes = (
                [(inputs, width, 1), (width, width, 3), (width, 4 * width, 1)]
                if deep
                else [(inputs, width, 3), (width, width, 3)]
            )
            for number, (before, after, side) in enumerate(sizes, 1):
                state[f"{block}.conv{number}.weight"] = self.normal(after, before, side, side)
                state |= self.batch_norm(f"{block}.bn{number}", after)
            outputs = sizes[-1][1]
            if inputs != outputs or layer > 1:
                state[f"{block}.downsample.0.weight"] = self.normal(outputs, inputs, 1, 1)
                state |= self.batch_norm(f"{block}.downsample.1", outputs)
            inputs = outputs
        return state

    def decoder(self, prefix: str, width: int) -> State:
        state = self.norm(f"{prefix}norm", width)
        for number in range(2):
            block = f"{prefix}layers.{number}"
            for part in ("self_attn", "multihead_attn"):
                state[f"{block}.{part}.in_proj_weight"] = self.normal(3 * width, width)
                state[f"{block}.{part}.in_proj_bias"] = self.normal(3 * width)
                state |= self.linear(f"{block}.{part}.out_proj", width, width)
            state |= self.linear(f"{block}.linear1", width, 64) | self.linear(f"{block}.linear2", 64, width)
            for norm in ("norm1", "norm2", "norm3"):
                state |= self.norm(f"{block}.{norm}", width)
        return state

    def vision(self, prefix: str, bias: str) -> State:
        """A vision transformer of 4 x 4 patches; ``bias``: how that of its queries, keys and values is stored."""
        w = _IMAGE
        state = {f"{prefix}cls_token": self.normal(1, 1, w), f"{prefix}pos_embed": self.normal(1, 17, w, scale=1)}
        state[f"{prefix}patch_embed.proj.weight"] = self.normal(w, 3, 16, 16)
        state[f"{prefix}patch_embed.proj.bias"] = self.normal(w)
        for number in range(2):
            block = f"{prefix}blocks.{number}"
            state |= self.norm(f"{block}.norm1", w) | self.norm(f"{block}.norm2", w)
            state |= self.linear(f"{block}.attn.qkv", w, 3 * w, bias=bias == "bias")
            if bias == "q_bias":
                state |= {f"{block}.attn.q_bias": self.normal(w), f"{block}.attn.v_bias": self.normal(w)}
            state |= self.linear(f"{block}.attn.proj", w, w)
            state |= self.linear(f"{block}.mlp.fc1", w, 2 * w) | self.linear(f"{block}.mlp.fc2", 2 * w, w)
        return state | (self.norm(f"{prefix}norm", w) if bias == "bias" else {})

    def crossing(self, prefix: str, twice: bool) -> State:
        """A BERT whose blocks read an image, all of them, or for ``twice``, as in a Q-Former, every other one."""
        state = {name: tensor for name, tensor in self.bert(prefix, pooler=False).items() if "token_type" not in name}
        for number in range(_BLOCKS):
            block, w = f"{prefix}encoder.layer.{number}", _TEXT
            if not twice or number % 2 == 0:
                for part in ("query", "key", "value"):
                    inputs = w if part == "query" else _IMAGE
                    state |= self.linear(f"{block}.crossattention.self.{part}", inputs, w)
                state |= self.linear(f"{block}.crossattention.output.dense", w, w)
                state |= self.norm(f"{block}.crossattention.output.LayerNorm", w)
            if twice:
                state |= self.linear(f"{block}.intermediate_query.dense", w, 2 * w)
                state |= self.linear(f"{block}.output_query.dense", 2 * w, w)
                state |= self.norm(f"{block}.output_query.LayerNorm", w)
        return state

    def swin(self, prefix: str) -> State:
        width, state = 24, {}
        patches = f"{prefix}embeddings"
        state[f"{patches}.patch_embeddings.projection.weight"] = self.normal(width, 3, 4, 4)
        state[f"{patches}.patch_embeddings.projection.bias"] = self.normal(width)
        state |= self.norm(f"{patches}.norm", width)
        for stage, heads in enumerate((3, 6, 12, 24)):
            layer, w = f"{prefix}encoder.layers.{stage}", width * 2**stage
            for number in range(2):
                block = f"{layer}.blocks.{number}"
                state |= self.norm(f"{block}.layernorm_before", w) | self.norm(f"{block}.layernorm_after", w)
                state[f"{block}.attention.self.relative_position_bias_table"] = self.normal(169, heads)
                state[f"{block}.attention.self.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
                for part in ("query", "key", "value"):
                    state |= self.linear(f"{block}.attention.self.{part}", w, w)
                state |= self.linear(f"{block}.attention.output.dense", w, w)
                state |= self.linear(f"{block}.intermediate.dense", w, 4 * w)
                state |= self.linear(f"{block}.output.dense", 4 * w, w)
            if stage < 3:
                state[f"{layer}.downsample.reduction.weight"] = self.normal(2 * w, 4 * w)
                state |= self.norm(f"{layer}.downsample.norm", 4 * w)
        return state | self.norm(f"{prefix}layernorm", 8 * width)


def _in_sequence(prefix: str) -> Callable[[str], str]:
    places = {"conv1": 0, "bn1": 1} | {f"layer{number}": number + 3 for number in range(1, 5)}
    return lambda name: f"{prefix}{places[name]}"


def gloria(deep: bool = True) -> Any:
    """Its checkpoint; ``deep``: with blocks as of a ResNet-50, else of a ResNet-18."""
    draw, prefix = _Draw(1), "gloria.img_encoder."
    state = draw.residual(lambda name: f"{prefix}model.{name}", deep=deep) | draw.bert("gloria.text_encoder.model.")
    third, fourth = (128, 256) if deep else (32, 64)
    state |= draw.linear(f"{prefix}global_embedder", fourth, _TEXT)
    state[f"{prefix}local_embedder.weight"] = draw.normal(_TEXT, third, 1, 1)
    return {"state_dict": state, "hyper_parameters": {"model": {"norm": False}}}


def medclip_resnet() -> Any:
    """Its checkpoint."""
    draw = _Draw(2)
    state = draw.residual(lambda name: f"vision_model.model.{name}") | draw.bert("text_model.model.")
    state |= draw.linear("vision_model.model.fc", 256, _JOINT, bias=False)
    return state | _of_text(draw)


def medclip_swin() -> Any:
    """Its checkpoint."""
    draw = _Draw(3)
    state = draw.swin("vision_model.model.") | draw.bert("text_model.model.")
    state |= draw.linear("vision_model.projection_head", 192, _JOINT, bias=False)
    return state | _of_text(draw)


def _of_text(draw: _Draw) -> State:
    projection = draw.linear("text_model.projection_head", _TEXT, _JOINT, bias=False)
    return projection | {"logit_scale": torch.tensor(2.6593)}


def medklip() -> Any:
    """Its checkpoint, which has no text encoder; that is `bert`."""
    draw = _Draw(4)
    state = draw.residual(_in_sequence("res_features."), layers=3) | draw.decoder("decoder.", _JOINT)
    state |= draw.linear("res_l1", 128, 128) | draw.linear("res_l2", 128, _JOINT)
    state |= draw.linear("disease_embedding_layer", _TEXT, _JOINT) | draw.linear("classifier", _JOINT, 2)
    state |= draw.linear("cl_fc", _JOINT, _TEXT)
    return {"model": {f"module.{name}": tensor for name, tensor in state.items()}}


def lovt() -> Any:
    """Its checkpoint."""
    draw = _Draw(9)
    state = draw.residual(lambda name: f"model_a.encoder.feature_extractor.backbone_layers.{name}")
    state |= draw.bert("model_b.encoder.language_model.")
    for side, width in (("model_a", 256), ("model_b", _TEXT)):
        attention = f"{side}.encoder.global_aggregator.attention"
        state |= {f"{attention}.in_proj_weight": draw.normal(3 * width, width)}
        state |= {f"{attention}.in_proj_bias": draw.normal(3 * width)}
        state |= draw.linear(f"{attention}.out_proj", width, width)
        for part in ("project_local", "project_global"):
            before, after = f"{side}.{part}.projection_before", f"{side}.{part}.projection_after"
            state |= draw.linear(before, width, 48) | draw.linear(after, 48, _JOINT)
            state |= draw.batch_norm(f"{side}.{part}.norm", 48)
            if part == "project_local":
                state |= {f"{name}.weight": state[f"{name}.weight"][..., None] for name in (before, after)}
    for part in ("key", "value", "output"):
        state |= draw.linear(f"ll_attention.{part}_projection", _JOINT, _JOINT)
    return {"state_dict": state | draw.batch_norm("ll_attention.norm", _JOINT)}


def blip() -> Any:
    """Its checkpoint, with a momentum encoder and a queue as training leaves them there."""
    draw = _Draw(7)
    state = draw.vision("visual_encoder.", "bias") | draw.crossing("text_encoder.", twice=False)
    state |= draw.linear("itm_head", _TEXT, 2)
    state |= {"visual_encoder_m.cls_token": draw.normal(1, 1, _IMAGE), "image_queue": draw.normal(4, 8)}
    return {"model": state, "epoch": 3}


def blip2() -> Any:
    """Its checkpoint, with an image tower as EVA has it: keys without a bias, no last norm."""
    draw = _Draw(8)
    state = draw.vision("visual_encoder.", "q_bias") | draw.crossing("Qformer.bert.", twice=True)
    state |= draw.norm("ln_vision", _IMAGE) | draw.linear("itm_head", _TEXT, 2)
    state |= draw.linear("vision_proj", _TEXT, _JOINT) | draw.linear("text_proj", _TEXT, _JOINT)
    state |= {"query_tokens": draw.normal(1, 6, _TEXT, scale=1), "temp": torch.tensor(0.07)}
    return {"model": state | draw.linear("Qformer.cls.predictions.decoder", _TEXT, len(WORDS))}


def bert() -> Any:
    """A text encoder by itself, with what it was trained with."""
    draw = _Draw(5)
    return draw.bert("bert.") | draw.linear("cls.predictions.transform.dense", _TEXT, _TEXT)


def kad(layers: int = 4) -> Any:
    """Its checkpoint, for pictures of 224 (three layers) or 512 pixels (four)."""
    draw = _Draw(6)
    image = draw.residual(_in_sequence("res_features."), layers) | draw.residual(lambda name: f"resnet.{name}")
    width = 128 if layers == 3 else 256
    image |= draw.linear("res_l1", width, width) | draw.linear("res_l2", width, _TEXT)
    text = (
        draw.bert("bert_model.") | draw.linear("mlp_embed.0", _TEXT, _TEXT) | draw.linear("mlp_embed.2", _TEXT, _TEXT)
    )
    model = draw.decoder("decoder.", _TEXT) | draw.linear("mlp_head.0", _TEXT, 2)
    model |= {f"decoder_norm.{part}": model[f"decoder.norm.{part}"] for part in ("weight", "bias")}
    return {"image_encoder": image, "text_encoder": text, "model": model, "epoch": 7}


CHECKPOINTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "gloria": ("chexpert_resnet50.ckpt", gloria),
    "medclip-resnet": ("pytorch_model.bin", medclip_resnet),
    "medclip-swin": ("pytorch_model.bin", medclip_swin),
    "medklip": ("checkpoint_final.pth", medklip),
    "kad": ("KAD_512.pt", kad),
    "lovt": ("lovt.ckpt", lovt),
    "blip": ("model_base_retrieval_coco.pth", blip),
    "blip-2": ("blip2_pretrained.pth", blip2),
}


def write_regional(folder: Path, name: str) -> Path:
    """The folder of one of `CHECKPOINTS`, as a person puts it together."""
    folder.mkdir(parents=True)
    file, make = CHECKPOINTS[name]
    torch.save(make(), folder / file)
    texts = folder / "bert" if name == "medklip" else folder
    texts.mkdir(exist_ok=True)
    (texts / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    if name == "medklip":
        torch.save(bert(), texts / "pytorch_model.bin")
    return folder
