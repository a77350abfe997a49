"""MedKLIP (Wu et al., ICCV 2023) and KAD (Zhang et al., Nature Communications 2023): findings ask patches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import ModelError
from ...files.weights import read_state_dict
from ..folder import BERTS, find_bert
from ..pixels import IMAGENET_COLOURS
from .base import WithBert
from .reading import Checkpoint
from .residual import ResidualNet, in_order

_HEADS = 4
_MEDKLIP_SIDE, _MEDKLIP_CONTEXT = 224, 64
_KAD_SIDES = {3: 224, 4: 512}  # pixels of a picture, by the layers of its ResNet that are used
_KAD_LARGE = 1024  # its third size has the tensors of the second
_KAD_CONTEXT = 256


class Decoder(nn.Module):
    """Queries that look at one another and at patches, in blocks with the norm before (Carion et al., ECCV 2020)."""

    def __init__(self, width: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(width, _HEADS, hidden, 0.0, batch_first=True, norm_first=True)
            for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)

    @classmethod
    def of(cls, checkpoint: Checkpoint, prefix: str) -> Decoder:
        """From the tensors whose names begin with ``prefix``.

        Raises:
            ModelError: they are of no such decoder.
        """
        state = checkpoint.under(prefix)
        hidden, width = checkpoint.shape(state, "layers.0.linear1.weight", 2)
        blocks = sum(name.endswith(".linear1.weight") for name in state)
        if width % _HEADS:
            raise checkpoint.unfit(f"a decoder of width {width}")
        return checkpoint.fill(cls(width, hidden, blocks), state)

    def forward(self, queries: Tensor, patches: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, Q, D) and (N, R, D) -> (N, Q, D), and the attention on patches of each block, (N, Q, R)."""
        seen = []
        for layer in self.layers:
            assert isinstance(layer, nn.TransformerDecoderLayer)
            normed = layer.norm1(queries)
            queries = queries + layer.self_attn(normed, normed, normed, need_weights=False)[0]
            found, weights = layer.multihead_attn(layer.norm2(queries), patches, patches)
            queries = queries + found
            queries = queries + layer.linear2(F.relu(layer.linear1(layer.norm3(queries))))
            seen.append(weights)
        return self.norm(queries), seen


class EntityModel(WithBert):
    """Asked "is this there, and where?" of a text; the answer depends on what is asked with it: contrast wordings.

    Its regions have no row for the whole picture that texts could be compared with: the mean stands there.
    """

    answers: ClassVar[bool] = True
    _decoder: Decoder
    _classifier: nn.Linear
    _net: ResidualNet
    _head: nn.Sequential
    _layers: int

    @abstractmethod
    def queries(self, features: Tensor) -> Tensor:
        """(Q, D) features of texts -> (Q, W) what asks."""

    @abstractmethod
    def patches(self, regions: Tensor) -> Tensor:
        """(N, R, W) -> (N, R, W) what is looked at."""

    @abstractmethod
    def shown(self, seen: list[Tensor]) -> Tensor:
        """The attention of each block, (N, Q, R) -> that of the map."""

    @torch.no_grad()
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`."""
        cells = self._net(pixels.to(self.device))[self._layers - 1].flatten(2).transpose(1, 2)
        cells = self._head(cells)
        return torch.cat([cells.mean(1, keepdim=True), cells], 1)

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """(Q, D) features of the wordings, and of the contrast wordings."""
        return tuple(self.encode_text(texts) for texts in (wordings, contrast) if texts)

    @torch.no_grad()
    def answer(self, regions: Tensor, features: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(N, R, W) regions and (Q, D) texts -> logits (N, Q, 2), maps (N, Q, R), attention of each block."""
        queries = self.queries(features).expand(len(regions), -1, -1)
        found, seen = self._decoder(queries, self.patches(regions))
        return self._classifier(found), self.shown(seen), seen

    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`."""
        logits, maps, _ = self.answer(regions[:, 1:], torch.cat(asked))
        wordings = len(asked[0])
        return maps[:, :wordings].mean(1), logits[:, :wordings].softmax(2)[..., 1].mean(1)

    def _look(self, checkpoint: Checkpoint, state: dict[str, Tensor], prefix: str) -> None:
        """Fills the part that looks at pictures."""
        self._net = ResidualNet.of(checkpoint, in_order(state))
        first, second = (checkpoint.linear(checkpoint.under(f"{prefix}res_l{number}.")) for number in (1, 2))
        self._head = nn.Sequential(first, nn.ReLU(), second)
        if first.in_features not in self._net.widths:
            raise checkpoint.unfit(f"a layer of width {first.in_features}")
        self._layers = self._net.widths.index(first.in_features) + 1


class MedKLIP(EntityModel):
    """A text is the state of BERT's first token; the map is the mean over all blocks."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._look(checkpoint, checkpoint.under("res_features."), "")
        self._decoder = Decoder.of(checkpoint, "decoder.")
        self._classifier = checkpoint.linear(checkpoint.under("classifier."))
        self._embed = checkpoint.linear(checkpoint.under("disease_embedding_layer."))
        beside = _bert_beside(checkpoint)
        text = beside.bert(beside.state)
        parts = nn.ModuleList([self._net, self._head, self._decoder, self._classifier, self._embed, text])
        tokenize = self._reads(beside, text, _MEDKLIP_CONTEXT)
        super().__init__(checkpoint, device, tokenize, parts, _MEDKLIP_SIDE, IMAGENET_COLOURS)

    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`."""
        return self._hidden(ids)[-1][:, 0]

    def queries(self, features: Tensor) -> Tensor:
        """See `EntityModel.queries`."""
        return self._embed(features)

    def patches(self, regions: Tensor) -> Tensor:
        """See `EntityModel.patches`."""
        return regions

    def shown(self, seen: list[Tensor]) -> Tensor:
        """See `EntityModel.shown`."""
        return torch.stack(seen).mean(0)


class KAD(EntityModel):
    """A text is BERT's pooled output behind a perceptron; the map is that of the last block."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._look(checkpoint, checkpoint.under("image_encoder/res_features."), "image_encoder/")
        self._decoder = Decoder.of(checkpoint, "model/decoder.")
        self._classifier = checkpoint.linear(checkpoint.under("model/mlp_head.0."))
        pooler = checkpoint.linear(checkpoint.under("text_encoder/bert_model.pooler.dense."))
        first, last = (checkpoint.linear(checkpoint.under(f"text_encoder/mlp_embed.{number}.")) for number in (0, 2))
        self._embed = nn.Sequential(pooler, nn.Tanh(), first, nn.GELU(), last)
        text = checkpoint.bert(checkpoint.under("text_encoder/bert_model."))
        side = _KAD_LARGE if str(_KAD_LARGE) in checkpoint.weights.name else _KAD_SIDES[self._layers]
        parts = nn.ModuleList([self._net, self._head, self._decoder, self._classifier, self._embed, text])
        super().__init__(checkpoint, device, self._reads(checkpoint, text, _KAD_CONTEXT), parts, side, IMAGENET_COLOURS)

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`."""
        return self._embed(self._hidden(ids)[-1][:, 0])

    def queries(self, features: Tensor) -> Tensor:
        """See `EntityModel.queries`."""
        return self._decoder.norm(features)

    def patches(self, regions: Tensor) -> Tensor:
        """See `EntityModel.patches`."""
        return self._decoder.norm(regions)

    def shown(self, seen: list[Tensor]) -> Tensor:
        """See `EntityModel.shown`."""
        return seen[-1]


def _bert_beside(checkpoint: Checkpoint) -> Checkpoint:
    """The text encoder that MedKLIP's authors took as it was published, and do not give."""
    folder = checkpoint.weights.parent
    file = find_bert(folder)
    if file is None:
        raise ModelError(
            f"'{folder}' has no text encoder, so that MedKLIP cannot be asked anything: put the weights of"
            f" Bio_ClinicalBERT there as {BERTS[1]} (or {BERTS[0]}), and its vocab.txt."
        )
    state = {name.removeprefix("bert."): tensor for name, tensor in read_state_dict(file).items()}
    return Checkpoint(file, {name: tensor for name, tensor in state.items() if not name.startswith("cls.")})
