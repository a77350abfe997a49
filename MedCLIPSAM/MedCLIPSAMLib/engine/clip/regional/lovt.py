"""LoVT (Müller et al., ECCV 2022): a sentence attends to regions of a chest X-ray."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..pixels import Colours
from .base import WithBert
from .reading import Checkpoint
from .residual import ResidualNet

_SIDE = 224
# Its authors take mean and spread of their data, which a checkpoint does not tell; those of MIMIC-CXR are near these.
_COLOURS: Colours = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
_HEADS = 8
_LOGIT_SCALE = 10.0  # of cosines of pictures and reports: 1 / 0.1
_CONTEXT = 512


class Side(nn.Module):
    """What is put on an encoder: its local features as a whole, and both in the joint space.

    Args:
        prefix: of the names of its tensors, "model_a." of images or "model_b." of reports.
    """

    def __init__(self, checkpoint: Checkpoint, prefix: str) -> None:
        super().__init__()
        state = checkpoint.under(f"{prefix}encoder.global_aggregator.attention.")
        width = checkpoint.shape(state, "out_proj.weight", 2)[0]
        if width % _HEADS:
            raise checkpoint.unfit(f"features of width {width}")
        self.pool = checkpoint.fill(nn.MultiheadAttention(width, _HEADS, batch_first=True), state)
        self.local = _projection(checkpoint, f"{prefix}project_local.")
        self.whole = _projection(checkpoint, f"{prefix}project_global.")

    def together(self, features: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(N, R, C) local features, zero where ``hidden`` (N, R) -> (N, C) of the whole, and weights (N, R)."""
        mean = features.mean(1, keepdim=True)
        found, weights = self.pool(mean, features, features, key_padding_mask=hidden)
        return found[:, 0], weights[:, 0]

    def in_joint_space(self, features: Tensor) -> Tensor:
        """(N, R, C) local features -> (N, R, D)."""
        return self.local(features.flatten(0, 1)).unflatten(0, features.shape[:2])


class Alignment(nn.Module):
    """Both sides, and how each attends to the other."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.image, self.report = Side(checkpoint, "model_a."), Side(checkpoint, "model_b.")
        self.key, self.value, self.output = (
            checkpoint.linear(checkpoint.under(f"ll_attention.{part}_projection."))
            for part in ("key", "value", "output")
        )
        self.norm = _norm(checkpoint, "ll_attention.norm.")

    def scores(self, regions: Tensor, sentences: Tensor) -> Tensor:
        """(N, R, D) and (N, L, D) of the joint space -> (N, L, R): sentences on regions, before any softmax."""
        return self.key(sentences) @ self.key(regions).transpose(1, 2) / regions.shape[2] ** 0.5

    def attended(self, weights: Tensor, seen: Tensor) -> Tensor:
        """(N, L, R) and (N, R, D) -> (N, L, D): what was read of the other side."""
        found = self.output(weights @ self.value(seen))
        return self.norm(found.flatten(0, 1)).unflatten(0, found.shape[:2])


class LoVT(WithBert):
    """A prompt is a report of one sentence; the map is the sentence's attention on 7 x 7 regions."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        backbone = checkpoint.under("model_a.encoder.feature_extractor.backbone_layers.")
        self._net = ResidualNet.of(checkpoint, backbone)
        self._alignment = Alignment(checkpoint)
        text = checkpoint.bert(checkpoint.under("model_b.encoder.language_model."))
        parts = nn.ModuleList([self._net, self._alignment, text])
        tokenize = self._reads(checkpoint, text, _CONTEXT)
        super().__init__(checkpoint, device, tokenize, parts, _SIDE, _COLOURS, _LOGIT_SCALE)

    @torch.no_grad()
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`, in the joint space."""
        side = self._alignment.image
        features = self._net(pixels.to(self.device))[-1].flatten(2).transpose(1, 2)
        whole = side.whole(side.together(features)[0])
        return torch.cat([whole[:, None], side.in_joint_space(features)], 1)

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """(1, D) of each wording, a sentence in the joint space."""
        side = self._alignment.report
        with torch.no_grad():
            return tuple(side.in_joint_space(self._sentence(self._tokenize([text])))[0] for text in wordings)

    @torch.no_grad()
    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`: the mean over wordings."""
        sentences = torch.cat(asked).expand(len(regions), -1, -1)
        return self._alignment.scores(regions[:, 1:], sentences).softmax(2).mean(1), None

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`."""
        side = self._alignment.report
        return side.whole(side.together(self._sentence(ids))[0])

    def _sentence(self, ids: Tensor) -> Tensor:
        """(T, L) ids -> (T, 1, C): the maximum over tokens, those that begin and end the text not counted."""
        ids = ids.to(self.device)
        length = (ids != self._text.padding_id).sum(1, keepdim=True)
        place = torch.arange(ids.shape[1], device=self.device)[None]
        states = self._hidden(ids)[-1].masked_fill(((place == 0) | (place >= length - 1))[..., None], -torch.inf)
        return states.amax(1, keepdim=True)


def _projection(checkpoint: Checkpoint, prefix: str) -> nn.Sequential:
    """Two linear maps with a norm and a ReLU between."""
    first, last = (checkpoint.linear(checkpoint.under(f"{prefix}projection_{part}.")) for part in ("before", "after"))
    return nn.Sequential(first, _norm(checkpoint, f"{prefix}norm."), nn.ReLU(), last)


def _norm(checkpoint: Checkpoint, prefix: str) -> nn.BatchNorm1d:
    state = checkpoint.under(prefix)
    return checkpoint.fill(nn.BatchNorm1d(checkpoint.shape(state, "weight", 1)[0]), state)
