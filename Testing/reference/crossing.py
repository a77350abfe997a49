"""Cases of BLIP and BLIP-2: what reads an image, given the image's tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.transform import resize
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.regional.blip import QFormer, Untold, matched
from MedCLIPSAMLib.engine.clip.regional.crossing import CrossTower
from MedCLIPSAMLib.engine.clip.regional.reading import Checkpoint
from MedCLIPSAMLib.engine.files.weights import read_state_dict
from Testing.reference.findings import Finding, Measure, difference, share

Arrays = Mapping[str, np.ndarray]
_DISPLAY = 0.02  # sigma of the Gaussian of a picture, as a share of its longer side


def check_blip(folder: Path) -> Iterator[Finding]:
    """Logits and maps of BLIP at each block; scores, attention and maps of BLIP-2."""
    arrays: Arrays = np.load(folder / "blip.npz")
    first, second = _heads(folder / "blip_config.json"), _heads(folder / "blip2_config.json")
    blip = Checkpoint(folder / "blip.pth", read_state_dict(folder / "blip.pth"))
    tower = CrossTower.of(blip, blip.under("text_encoder."), first).requires_grad_(False)
    head = blip.linear(blip.under("itm_head.")).requires_grad_(False)
    later = Checkpoint(folder / "blip2.pth", read_state_dict(folder / "blip2.pth"))
    queries = QFormer(later, Untold(text_heads=second)).requires_grad_(False)
    answer = later.linear(later.under("itm_head.")).requires_grad_(False)
    for case in json.loads((folder / "blip.json").read_text("utf-8")):
        name = case["case"]
        if name.startswith("blip2"):
            yield Finding(name, tuple(_of_queries(queries, answer, arrays, case, name.rpartition("_")[2])))
        else:
            yield Finding(name, tuple(_of_text(tower, head, arrays, case, name)))


def _of_text(tower: CrossTower, head: Any, arrays: Arrays, case: dict[str, Any], name: str) -> Iterator[Measure]:
    image = torch.from_numpy(arrays["blip_image_embeds"]).float()
    ids = torch.from_numpy(arrays["blip_token_ids"])
    logits, maps = matched(tower, head, image, ids, case["block"])
    yield difference("logits", logits, arrays[f"{name}_itm_logits"], 5e-6)
    for number in range(len(image)):
        words = int((ids[number] != 0).sum()) - 2
        each = maps[number].unflatten(1, (24, 24))
        shown = torch.cat([each[:1], each[1 : 1 + words].mean(0, keepdim=True), each[1:]])
        published = arrays[f"{name}_gradcam{number}"]
        yield share(f"maps {number}", shown, published, 5e-5)
        if f"{name}_display{number}" in arrays:
            picture = arrays[f"{name}_display{number}"]
            ours = _displayed(shown[1].numpy(), picture.shape)
            yield difference(f"display {number}", ours, np.nan_to_num(picture), 1e-4)


def _displayed(map_: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    large = resize(_stretched(map_), shape, order=3, mode="constant")
    return _stretched(gaussian_filter(large, _DISPLAY * max(shape)))


def _stretched(values: np.ndarray) -> np.ndarray:
    """To 0..1; a flat map, as words have in the last block, becomes 0, where the published code divides 0 by 0."""
    return (values - values.min()) / (np.ptp(values) or 1.0)


def _of_queries(queries: QFormer, head: Any, arrays: Arrays, case: dict[str, Any], number: str) -> Iterator[Measure]:
    image = torch.from_numpy(arrays["blip2_image_tokens"][[int(number)]]).float()
    ids = torch.from_numpy(arrays[f"blip2_token_ids{number}"])[None]
    for block in case["cross_layers"]:
        logits, maps, attention = queries.matched(head, image, ids, block)
        grid = maps[0].unflatten(0, (case["grid"],) * 2)
        yield share(f"attention {block}", attention[0], arrays[f"blip2_attention{number}_layer{block}"], 3e-5)
        yield share(f"map {block}", grid, arrays[f"blip2_gradcam{number}_layer{block}"], 5e-5)
    yield share("match", logits, arrays[f"blip2_itm{number}"], 2e-5)
    cosines = F.normalize(queries.of_image(image), dim=2) @ F.normalize(queries.of_text(ids), dim=1).T
    yield difference("contrast", _highest(cosines), arrays[f"blip2_itc{number}"], 2e-6)


def _highest(cosines: Tensor) -> Tensor:
    """(N, Q, T) -> (N, T), over queries."""
    return cosines.amax(1)


def _heads(config: Path) -> int:
    return json.loads(config.read_text("utf-8"))["heads"]
