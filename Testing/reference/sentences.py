"""Cases of LoVT: sentences and regions, given the features of both encoders."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.regional.lovt import Alignment
from MedCLIPSAMLib.engine.clip.regional.reading import Checkpoint
from MedCLIPSAMLib.engine.files.weights import read_state_dict
from Testing.reference.findings import Finding, Measure, difference, share

_ARRAYS, _LOSS = 5e-6, 1e-5
_SHARP, _WHOLE_SHARP = 0.3, 0.1  # temperatures of local and global loss
_NEAR = 0.5  # distance up to which regions are alike, as a share of the picture's diagonal


def check_lovt(folder: Path) -> Iterator[Finding]:
    """Features in the joint space, attention both ways and losses."""
    arrays = np.load(folder / "lovt.npz")
    checkpoint = Checkpoint(folder / "lovt.ckpt", read_state_dict(folder / "lovt.ckpt"))
    net = Alignment(checkpoint).eval().requires_grad_(False)
    (case,) = json.loads((folder / "lovt.json").read_text("utf-8"))
    regions, sentences = (torch.from_numpy(arrays[name]).float() for name in ("regions", "sentences"))
    hidden = ~torch.from_numpy(arrays["sentence_mask"]).bool()
    whole, region_weights = net.image.together(regions)
    said, sentence_weights = net.report.together(sentences, hidden)
    z_regions = net.image.in_joint_space(regions)
    z_sentences = net.report.in_joint_space(sentences)
    zg_image, zg_report = net.image.whole(whole), net.report.whole(said)
    scores = net.scores(z_regions, z_sentences)
    to_regions = scores.softmax(2) * ~hidden[..., None]
    to_sentences = scores.masked_fill(hidden[..., None], -torch.inf).softmax(1).transpose(1, 2)
    read_by_regions = net.attended(to_sentences, z_sentences)
    read_by_sentences = net.attended(to_regions, z_regions)
    made = {
        "region_weights": region_weights,
        "sentence_weights": sentence_weights,
        "global_a": whole,
        "global_b": said,
        "z_regions": z_regions,
        "z_sentences": z_sentences,
        "zg_image": zg_image,
        "zg_report": zg_report,
        "attention_sentence_to_regions": to_regions,
        "attention_region_to_sentences": to_sentences,
        "attended_regions": read_by_regions,
        "attended_sentences": read_by_sentences,
    }
    measures = [share(name.replace("_", " "), ours, arrays[name], _ARRAYS) for name, ours in made.items()]
    local_a = _local(z_regions, read_by_regions, region_weights, _near(case["grid"]), torch.zeros_like(regions[..., 0]))
    same = torch.eye(sentences.shape[1])
    local_b = _local(z_sentences, read_by_sentences, sentence_weights, same, hidden.float())
    contrast = F.normalize(zg_image, dim=1) @ F.normalize(zg_report, dim=1).T / _WHOLE_SHARP
    target = torch.arange(len(contrast))
    both = [F.cross_entropy(contrast, target), F.cross_entropy(contrast.T, target)]
    total = 0.375 * (sum(local_a) + sum(local_b)) + 0.75 * both[0] + 0.25 * both[1]
    losses = case["losses"]
    measures += [_loss("local loss of regions", local_a, losses["local_a"])]
    measures += [_loss("local loss of sentences", local_b, losses["local_b"])]
    measures += [_loss("global loss", both, losses["global_"]), _loss("total", [total], [losses["total"]])]
    yield Finding("lovt", tuple(measures))


def _near(grid: list[int]) -> Tensor:
    """(R, R) which regions are alike: exp(-distance) up to `_NEAR`, rows of sum 1."""
    rows, columns = torch.meshgrid(*(torch.arange(n).float() for n in grid), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1)
    distance = torch.cdist(places, places) / math.hypot(*grid)
    weights = (-distance).exp() * (distance <= _NEAR)
    return weights / weights.sum(1, keepdim=True)


def _local(z: Tensor, read: Tensor, weights: Tensor, alike: Tensor, hidden: Tensor) -> list[Tensor]:
    """Both directions of the loss within a sample, weighted and meaned."""
    cosines = F.normalize(z, dim=2) @ F.normalize(read, dim=2).transpose(1, 2) / _SHARP
    shown = (1 - hidden) * weights
    shares = shown / shown.sum(1, keepdim=True)
    found = []
    for scores in (cosines, cosines.transpose(1, 2)):
        every = scores.masked_fill(hidden[:, None] > 0, -torch.inf).logsumexp(2)
        found.append(((every - (alike * scores).sum(2)) * shares).sum(1).mean())
    return found


def _loss(what: str, ours: list[Tensor], published: list[float]) -> Measure:
    return difference(what, torch.stack(ours), np.array(published), _LOSS)
