"""GLoRIA (Huang et al., ICCV 2021): words attend to regions of a chest X-ray."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import WithBert
from .reading import Checkpoint
from .residual import ResidualNet

_SIDE = 224  # pixels of a picture, which the network enlarges
_ENLARGED = 299
_HALF = (0.5, 0.5, 0.5)
_LAST = 4  # hidden states of BERT that count
_SHARPNESS = 4.0  # temp1: of the softmax over regions
_LOGIT_SCALE = 10.0  # temp3: of cosines
_CONTEXT = 97  # words, with those that begin and end a text


class GLoRIA(WithBert):
    """Words are sums of their pieces over BERT's last four states, regions the third layer of a ResNet.

    Attributes:
        places: over how many a sentence's mean is taken, most of them empty; only its length depends on it.
    """

    places = _CONTEXT

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        image = checkpoint.under("gloria.img_encoder.model.")
        self._net = ResidualNet.of(checkpoint, image)
        self._whole = checkpoint.linear(checkpoint.under("gloria.img_encoder.global_embedder."))
        self._local = checkpoint.linear(checkpoint.under("gloria.img_encoder.local_embedder."))
        text = checkpoint.bert(checkpoint.under("gloria.text_encoder.model."))
        parts = nn.ModuleList([self._net, self._whole, self._local, text])
        tokenize = self._reads(checkpoint, text, _CONTEXT)
        super().__init__(checkpoint, device, tokenize, parts, _SIDE, (_HALF, _HALF), _LOGIT_SCALE)

    @torch.no_grad()
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`; 19 x 19."""
        third, fourth = self._layers(pixels)
        return torch.cat([self._whole(fourth.mean(1))[:, None], self._local(third)], 1)

    @torch.no_grad()
    def cells_before(self, pixels: Tensor) -> Tensor:
        """See `MappedModel.cells_before`; 10 x 10, the last layer of the ResNet."""
        return self._layers(pixels)[1]

    def activations(self, cells: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """See `MappedModel.activations`."""
        return cells, lambda seen: self._whole(seen.mean(1))

    def _layers(self, pixels: Tensor) -> list[Tensor]:
        """(N, 3, S, S) -> (N, R, C) of the third and the fourth layer."""
        large = F.interpolate(pixels.to(self.device), (_ENLARGED,) * 2, mode="bilinear", align_corners=True)
        return [layer.flatten(2).transpose(1, 2) for layer in self._net(large)[-2:]]

    def words(self, text: str) -> Tensor:
        """(L, D) of what begins the text, its words, and what ends it."""
        ids, pieces = self._tokenize.pieces(text)
        states = self._states(ids)[0]
        word = torch.tensor([not piece.startswith("##") for piece in pieces], device=self.device).cumsum(0) - 1
        return states.new_zeros((int(word[-1]) + 1, states.shape[1])).index_add(0, word, states)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """See `RegionalModel.encode_text`; the mean over all words."""
        return super().encode_text([plain(text) for text in texts])

    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`; a sum over pieces is one over words."""
        kept = (ids != self._text.padding_id).to(self.device)
        return (self._states(ids) * kept[..., None]).sum(1) / self.places

    def _states(self, ids: Tensor) -> Tensor:
        """(T, L) ids -> (T, L, D) of pieces of words."""
        return torch.stack(self._hidden(ids)[-_LAST:]).sum(0)

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """(L, D) words of each wording, without what ends it: so the authors' maps are made."""
        return tuple(self.words(plain(text))[:-1] for text in wordings)

    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`: of a wording the largest of its words' maps."""
        cells = regions[:, 1:]
        maps = [attention(words, cells)[:, 1:].amax(1) for words in asked]
        return torch.stack(maps).mean(0), None


def attention(words: Tensor, regions: Tensor, sharpness: float = _SHARPNESS) -> Tensor:
    """(L, D) words on (N, R, D) regions -> (N, L, R): first words compete for a region, then regions for a word."""
    return (sharpness * (regions @ words.T).softmax(2)).softmax(1).transpose(1, 2)


def plain(text: str) -> str:
    """A text as the model was taught: lower case, nothing between words."""
    return " ".join(re.findall(r"\w+", text.lower()))
