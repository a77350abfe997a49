"""Trains the second look on a bank with its features; can be resumed.

``torchrun --nproc-per-node 2 -m quickstart.closer.train BANK LANGUAGE OUT`` (in tools/).
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from MedCLIPSAMLib.engine.clip.quickstart.second_look import ABOUT, TOKENIZER, WEIGHTS
from MedCLIPSAMLib.engine.clip.quickstart.second_net import SecondConfig, SecondNet, to_greys
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.sam.lite_medsam import weights_file

from ..language.covers import membership, settled
from ..language.labels import LABEL_INDEX
from ..language.learn import Texts
from ..language.terms import REGION_COUNT, REGIONS, TERMS
from ..losses import dense_losses, presence_loss
from ..training import Schedule, half_precision, join_processes, run
from .bank import Bank, features_file

log = logging.getLogger("quickstart")
_SIDE = 128  # cells of the map
_CELLS = 400  # of a slice, anywhere; and as many again where there is something with a name, of each alike many
_LEAST = 64  # pixels below which something gets fewer of them
_UNSEEN = 12  # texts of nothing, at each step
_DROPPED = 0.05  # of the channels of features
_NAMELESS = torch.tensor([LABEL_INDEX[name] for name in ("other", "air", "fat", "soft", "bone", "gas")])
_OF_TEXTS = ("embed", "vocabulary", "text_width", "text_blocks", "context")
_WEIGHTS = {"cross_entropy": 1.0, "dice": 1.0, "softmax": 0.3, "presence": 0.5}


class Lessons:
    """Batches of a bank, for one process of several."""

    def __init__(self, bank: Bank, folder: Path, texts: Texts, batch: int) -> None:
        self._bank, self._texts, self._batch = bank, texts, batch
        self._features = np.load(features_file(folder), mmap_mode="r")
        self._rows = np.flatnonzero(np.load(folder / "embedded.npy"))
        self._groups = F.pad(torch.from_numpy(membership()), (0, _UNSEEN))
        self._settled = F.pad(torch.from_numpy(settled()), (0, _UNSEEN))
        self._settled[:, REGION_COUNT : len(TERMS)] = 0

    def losses(self, net: SecondNet, rng: np.random.Generator) -> dict[str, Tensor]:
        """Of one batch, drawn by ``rng``."""
        rows = np.sort(rng.choice(self._rows, self._batch, replace=False))
        features = torch.from_numpy(np.stack([self._features[row] for row in rows])).bfloat16()
        greys = to_greys(torch.from_numpy(self._bank.image[rows])).bfloat16()
        labels = torch.from_numpy(self._bank.labels[rows]).long()
        known = torch.from_numpy(self._bank.known[rows]) > 0
        globals_ = torch.from_numpy(self._bank.globals[rows]).float()
        pixels = torch.stack([torch.bincount(each.view(-1), minlength=len(self._groups)) for each in labels])
        texts = self._texts.draw(_UNSEEN)
        # The fused attention's backward pass takes longer than plain products at so few tokens.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            features = F.dropout2d(features.contiguous(memory_format=torch.channels_last), _DROPPED, net.training)
            cells, tokens = net.closer(features, greys.contiguous(memory_format=torch.channels_last))
            cells = cells.flatten(2).transpose(1, 2)
            chosen, stands_for = choose_cells(labels, pixels, _CELLS)
            seen = net.closer.project(cells.gather(1, chosen[..., None].expand(-1, -1, cells.shape[2])))
            picture = net.closer.picture(tokens)
        target, decided = self._targets(labels, chosen)
        extent_known = F.pad(known, (0, _UNSEEN), value=True)
        presence_known = extent_known.clone()
        extent_known[:, REGION_COUNT : len(TERMS)] = False
        settled_cells = extent_known[..., None] | decided
        parts = dense_losses(
            seen.float().transpose(1, 2),
            texts,
            target,
            extent_known,
            settled_cells,
            net.dense_scale.clamp(1, 40),
            net.dense_offset,
            stands_for,
        )
        area = (pixels.float() / labels[0].numel()) @ self._groups
        presence = presence_loss(
            picture.float(),
            texts,
            area,
            presence_known,
            globals_,
            net.presence_scale.clamp(1, 40),
            net.presence_offset,
        )
        return dict(zip(("cross_entropy", "dice", "softmax", "presence"), (*parts, presence), strict=True))

    def _targets(self, labels: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, 256) labels at (N, P) cells -> share of each term in them, and whether labels decide: (N, T, P)."""
        step = labels.shape[1] // _SIDE
        four = labels.unflatten(1, (_SIDE, step)).unflatten(3, (_SIDE, step)).permute(0, 1, 3, 2, 4).flatten(3)
        four = four.flatten(1, 2).gather(1, chosen[..., None].expand(-1, -1, step * step))
        return self._groups[four].mean(2).transpose(1, 2), self._settled[four].amin(2).transpose(1, 2) > 0


def choose_cells(labels: Tensor, pixels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(N, 2 * count) numbers of cells, half of them anywhere and half where something has a name, if anything has.

    Of these, each label gets alike many: a pancreas would have four of them beside a liver, too few to tell an overlap.
    Also how many cells each stands for, (N, 2 * count), so that a sum over them is that over all cells: without it a
    network learns that half of a picture has a name. ``pixels`` (N, labels): how many each label has.
    """
    rarity = 1 / pixels.clamp(min=_LEAST)
    rarity[:, _NAMELESS] = 0
    of_pixels = rarity.gather(1, labels.flatten(1)).view_as(labels)
    weight = F.avg_pool2d(of_pixels[:, None], labels.shape[1] // _SIDE).flatten(1) + 1e-9
    share = weight / weight.sum(1, keepdim=True)
    chosen = torch.cat(
        [torch.randint(_SIDE * _SIDE, (len(labels), count)), torch.multinomial(share, count, replacement=True)], 1
    )
    density = 0.5 / (_SIDE * _SIDE) + 0.5 * share.gather(1, chosen)
    return chosen, 1 / (density * 2 * count)


def save(net: SecondNet, folder: Path) -> None:
    """Weights in float16 and sizes; what it is asked for, `quickstart.closer.choose` finds out."""
    save_file(half_precision(net), str(folder / WEIGHTS))
    about = {
        "network": net.config.as_dict(),
        "segmenter": sha256(weights_file()),
        "answers": {},
        "confirms": [],
        "terms": {term.nouns[0]: term.labels for term in REGIONS},
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


def train(
    bank: Path,
    language: Path,
    out: Path,
    steps: int = 6000,
    batch: int = 12,
    rates: tuple[float, float] = (0.02, 0.006),
    seed: int = 0,
) -> None:
    """Trains for ``steps`` of ``batch`` slices a process, and writes the averaged weights."""
    rank, processes = join_processes()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    sizes = json.loads((language / "config.json").read_text())
    net = SecondNet(SecondConfig(**{name: sizes[name] for name in _OF_TEXTS}))
    net.text.load_state_dict(load_file(language / "text.safetensors"))
    net.text.requires_grad_(False)
    net.to(memory_format=torch.channels_last)
    shutil.copy(language / "tokenizer.json", out / TOKENIZER)
    lessons = Lessons(Bank.open(bank), bank, Texts.load(language), batch)

    def losses(step: int) -> dict[str, Tensor]:
        torch.manual_seed((seed * steps + step) * processes + rank)
        return lessons.losses(net, np.random.default_rng((seed, step, rank)))

    schedule = Schedule(steps, rates, warm_up=100, decay=0.01, averaging=0.998, parts=_WEIGHTS)
    run(net, out, schedule, lambda first: None, losses, lambda averaged: save(averaged, out))


if __name__ == "__main__":
    typer.run(train)
