"""Cases of GLoRIA, MedCLIP, MedKLIP and KAD: a folder for each, with its checkpoint, JSON and arrays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.regional.entities import EntityModel
from MedCLIPSAMLib.engine.clip.regional.gloria import GLoRIA, attention, plain
from MedCLIPSAMLib.engine.clip.regional.medclip import MedCLIP
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.saliency import TextQuery, choose, normalise
from MedCLIPSAMLib.engine.session.settings import Settings
from MedCLIPSAMLib.engine.volume import Frame
from Testing.reference.findings import Finding, Measure, difference, share

Arrays = Mapping[str, np.ndarray]
_ATTENTION, _ATTENTION_OF_FEATURES, _LOSS = 4e-5, 1e-5, 4e-5
_PIXELS = 2e-6
_TEXTS = ("vocab.txt", "bert_config.json")


def check_gloria(folder: Path) -> Iterator[Finding]:
    """Attention, contexts and losses of given features; then the model from pictures and texts."""
    arrays: Arrays = np.load(folder / "gloria.npz")
    for case in _read(folder / "gloria.json"):
        name = case["case"]
        if name.startswith("features"):
            yield Finding(f"gloria, {name}", tuple(_of_features(arrays, case, name)))
        else:
            yield Finding(f"gloria, {name}", tuple(_of_gloria(folder, arrays, case)))


def _of_features(arrays: Arrays, case: dict[str, Any], name: str) -> Iterator[Measure]:
    words, regions, image, text = (
        torch.from_numpy(arrays[f"{name}_{part}"]).float()
        for part in ("words", "regions", "image_global", "text_global")
    )
    cells = regions.flatten(2).transpose(1, 2)
    maps = torch.stack([attention(words[i].T, cells[[i]], case["temp1"])[0] for i in range(len(words))])
    shape = regions.shape[2:]
    yield difference("attention", maps.unflatten(2, shape), arrays[f"{name}_attention"], _ATTENTION_OF_FEATURES)
    yield share("context", (maps @ cells).transpose(1, 2), arrays[f"{name}_context"], 2e-5)
    each = [attention(words[i, :, :length].T, cells[[i]], case["temp1"])[0] for i, length in enumerate(case["lengths"])]
    for i, found in enumerate(each):
        if f"{name}_map{i}" in arrays:
            yield difference(f"map {i}", found.unflatten(1, shape), arrays[f"{name}_map{i}"], _ATTENTION_OF_FEATURES)
    local = torch.stack([_relevance(words[i, :, :n].T, cells, case) for i, n in enumerate(case["lengths"])], 1)
    yield from _losses("local", case["temp3"] * local, case["local_loss"])
    yield from _losses("global", case["temp3"] * _cosines(image, text), case["global_loss"])


def _relevance(words: Tensor, cells: Tensor, case: dict[str, Any]) -> Tensor:
    """(L, D) words and (N, R, D) cells -> (N,) how well the words find themselves in each image."""
    found = attention(words, cells, case["temp1"]) @ cells
    close = (case["temp2"] * F.cosine_similarity(words[None], found, dim=2)).exp()
    return (close.mean(1) if case["aggregate"] == "mean" else close.sum(1)).log()


def _losses(what: str, scores: Tensor, published: list[float]) -> Iterator[Measure]:
    target = torch.arange(len(scores))
    for side, ours, loss in zip(("images", "texts"), (scores, scores.T), published, strict=True):
        yield difference(f"{what} loss of {side}", F.cross_entropy(ours, target)[None], np.array([loss]), _LOSS)


def _of_gloria(folder: Path, arrays: Arrays, case: dict[str, Any]) -> Iterator[Measure]:
    model = cast(GLoRIA, load_clip(folder, "cpu"))
    model.places = case["word_num"]
    seen = model.regions(_tensor(arrays["pixel_values"]))
    texts = [model.words(plain(text)) for text in case["texts"]]
    of_texts = torch.stack([F.pad(words.T, (0, case["word_num"] - len(words))) for words in texts])
    local = seen[:, 1:].transpose(1, 2).reshape(arrays["image_local"].shape)
    yield share("regions", local, arrays["image_local"], 2e-5)
    yield share("image", seen[:, 0], arrays["image_global"], 2e-5)
    yield share("words", of_texts, arrays["text_local"], 2e-5)
    yield share("text", model.encode_text(case["texts"]), arrays["text_global"], 2e-5)
    by_ids = model.encode_token_ids(torch.from_numpy(arrays["token_ids"]))
    yield share("text by ids", by_ids, arrays["text_global"], 2e-5)
    for i, words in enumerate(texts):
        found = attention(words[:-1], seen[[i], 1:])
        yield difference(
            f"attention {i}", found.reshape(arrays[f"attention{i}"].shape), arrays[f"attention{i}"], _ATTENTION
        )
    for key, counts in (
        ("local_similarity", [len(words) - 2 for words in texts]),
        ("local_similarity_published_lengths", [min(n, case["word_num"] - 1) for n in case["published_lengths"]]),
    ):
        columns = []
        for words, count in zip(of_texts, counts, strict=True):
            asked = words.T[1 : 1 + count]
            found = attention(asked, seen[:, 1:]) @ seen[:, 1:]
            columns.append(case["temp2"] * F.cosine_similarity(asked[None], found, dim=2).amax(1))
        yield difference(key.replace("_", " "), torch.stack(columns, 1), arrays[key], _LOSS)
    cosines = _cosines(seen[:, 0], model.encode_text(case["texts"]))
    yield difference("global similarity", cosines, arrays["global_similarity"], _LOSS)


def check_medclip(folder: Path) -> Iterator[Finding]:
    """Features, logits, zero shot, dense maps and GradCAM of both models; then how each prepares pictures."""
    arrays: Arrays = np.load(folder / "medclip.npz")
    for case in _read(folder / "medclip.json"):
        name = case["model"]
        with _together(folder, f"{name}/pytorch_model.bin") as place:
            model = cast(MedCLIP, load_clip(place, "cpu"))
        yield Finding(f"medclip, {name}", tuple(_of_medclip(model, arrays, case, name)))
        yield Finding(f"medclip, {name}, preparation", tuple(_prepared(model, arrays)))


def _of_medclip(model: MedCLIP, arrays: Arrays, case: dict[str, Any], name: str) -> Iterator[Measure]:
    seen = model.regions(_tensor(arrays["pixel_values"]).repeat(1, 3, 1, 1))
    images = F.normalize(seen[:, 0], dim=1)
    texts = F.normalize(model.encode_token_ids(torch.from_numpy(arrays["token_ids"])), dim=1)
    logits = model.logit_scale * images @ texts.T
    yield difference("images", images, arrays[f"{name}_img_embeds"], 2e-6)
    yield difference("texts", texts, arrays[f"{name}_text_embeds"], 2e-6)
    yield difference("logits", logits, arrays[f"{name}_logits"], 2e-5)
    pairs = logits.unflatten(1, (2, 2))
    yield difference("zero shot by mean", pairs.mean(2), arrays[f"{name}_zs_mean"], 2e-5)
    yield difference("zero shot by maximum", pairs.amax(2), arrays[f"{name}_zs_max"], 2e-5)
    if f"{name}_dense_dot" in arrays:
        maps = torch.stack([model.attend(seen, text, ())[0] for text in texts], 1)
        published = arrays[f"{name}_dense_dot"]
        yield difference("dense maps", maps.reshape(published.shape), published, 3e-6)
        cosine = (F.normalize(seen[:, 1:], dim=2) @ texts.T).transpose(1, 2)
        yield difference("dense cosines", cosine.reshape(published.shape), arrays[f"{name}_dense_cosine"], 3e-6)
    labels = (
        torch.from_numpy(arrays[f"{name}_image_labels"]).float()
        @ torch.from_numpy(arrays[f"{name}_text_labels"]).float().T
    )
    both = [F.cross_entropy(scores, given.softmax(1)) for scores, given in ((logits, labels), (logits.T, labels.T))]
    yield difference("loss", torch.stack(both).mean()[None], np.array([case["loss"]]), 1e-6)
    gradcam, pixels = choose("gradcam", model, Settings()), _tensor(arrays["pixel_values"]).repeat(1, 3, 1, 1)
    published = arrays[f"{name}_gradcam"]
    found = [gradcam(model, pixels, TextQuery.from_features(text[None])).maps for text in texts[: published.shape[1]]]
    maps = torch.stack([normalise(each)[:, ::2, ::2] for each in found], 1)
    yield difference("GradCAM", maps, published, 1e-4)


def _prepared(model: MedCLIP, arrays: Arrays) -> Iterator[Measure]:
    """Its colours on pictures padded and reduced as its own code does; beside that, how the chain shows them.

    The chain shows every model the slice in millimetres and enlarges a small one, which is told and not held.
    """
    number = 0
    while f"prepare{number}_image" in arrays:
        picture, published = arrays[f"prepare{number}_image"], arrays[f"prepare{number}_pixel_values"]
        height, width = picture.shape
        side = max(model.image_size, height, width)
        padded = Image.new("L", (side, side))
        padded.paste(Image.fromarray(picture), ((side - width) // 2, (side - height) // 2))
        reduced = np.asarray(padded.resize((model.image_size, model.image_size), Image.Resampling.BICUBIC))
        shown = Frame.whole(picture.shape, (1.0, 1.0)).crop(picture, model.image_size)
        rgb = np.stack([np.repeat(each[..., None], 3, 2) for each in (reduced, shown)])
        ours, chain = model.preprocess(rgb)
        yield difference(f"picture {number}", ours, published.repeat(3, 0), _PIXELS)
        apart = np.abs(chain[:1].numpy() - published).mean() * model.std[0] * 255
        yield Measure(f"the chain's differs by {apart:.1f} of 255 in the mean", True)
        number += 1


def check_medklip(folder: Path) -> Iterator[Finding]:
    """Features, logits and attention of each block."""
    arrays: Arrays = np.load(folder / "medklip.npz")
    model = cast(EntityModel, load_clip(folder, "cpu"))
    (case,) = _read(folder / "medklip.json")
    texts = model.encode_token_ids(torch.from_numpy(arrays["query_token_ids"]))
    seen = model.regions(_tensor(arrays["pixel_values"]))[:, 1:]
    logits, maps, layers = model.answer(seen, texts)
    grid = maps.unflatten(2, (case["grid"],) * 2)
    enlarged = grid[0, 0].repeat_interleave(16, 0).repeat_interleave(16, 1)
    measures = (
        share("texts", texts, arrays["disease_book"], 2e-5),
        share("patches", seen, arrays["image_features"], 2e-5),
        share("logits", logits, arrays["logits"], 5e-5),
        difference("probability", logits.softmax(2)[..., 1], arrays["probability"], 3e-5),
        share("blocks", torch.stack(layers), arrays["layers"], 2e-4),
        share("maps", grid, arrays["grid"], 6e-5),
        share("enlarged map", enlarged, arrays["map_0_0"], 6e-5),
    )
    yield Finding("medklip", measures)


def check_kad(folder: Path) -> Iterator[Finding]:
    """Features, logits and attention at each size of pictures."""
    arrays: Arrays = np.load(folder / "kad.npz")
    for case in _read(folder / "kad.json"):
        name = case["case"]
        with _together(folder, f"kad_{name}.pt") as place:
            model = cast(EntityModel, load_clip(place, "cpu"))
        texts = model.encode_token_ids(torch.from_numpy(arrays["query_token_ids"]))
        seen = model.regions(_tensor(arrays[f"{name}_pixel_values"]))
        logits, maps, _ = model.answer(seen[:, 1:], texts)
        one = maps[0, 1].view(1, 1, case["grid"], case["grid"])
        overlay = F.interpolate(255 * one / one.max(), case["overlay_wh"][::-1], mode="bilinear")[0, 0].floor()
        published = arrays[f"{name}_overlay_map_image0_query1"]
        measures = (
            share("texts", texts, arrays[f"{name}_text_features"], 2e-5),
            share("patches", seen[:, 1:], arrays[f"{name}_image_features"], 2e-5),
            share("whole", seen[:, 0], arrays[f"{name}_pooled"], 2e-5),
            share("logits", logits, arrays[f"{name}_logits"], 2e-5),
            difference("probability", logits.softmax(2)[..., 1], arrays[f"{name}_probability"], 5e-6),
            share("attention", maps, arrays[f"{name}_attention"], 2e-5),
            difference("overlay", overlay, published.astype(np.float32), 1),
        )
        yield Finding(f"kad, {name}", measures)


# The file that tells that a folder has cases -> what checks it.
ATTENTIVE: dict[str, Callable[[Path], Iterator[Finding]]] = {
    "gloria.json": check_gloria,
    "medclip.json": check_medclip,
    "medklip.json": check_medklip,
    "kad.json": check_kad,
}


class _together(TemporaryDirectory):
    """A folder with one of several checkpoints, and what belongs to all of them."""

    def __init__(self, folder: Path, weights: str) -> None:
        super().__init__()
        for name in (weights, *_TEXTS):
            shutil.copy(folder / name, self.name)

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(self.name)


def _cosines(images: Tensor, texts: Tensor) -> Tensor:
    return F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).float()


def _read(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text("utf-8"))
