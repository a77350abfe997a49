"""BERT as the text tower of image-text models, and its tokenizer read from the model's own folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, Encoding, Tokenizer
from torch import Tensor, nn

from ..errors import ModelError

HEAD_WIDTH = 64  # of every published BERT; tensors do not tell it


@dataclass(frozen=True)
class BertSize:
    """Sizes of a BERT and of the perceptron that projects its class token; `projection` lists its widths."""

    vocabulary: int
    positions: int
    segments: int
    width: int
    blocks: int
    heads: int
    hidden: int
    projection: tuple[int, ...]
    epsilon: float
    padding_id: int

    @classmethod
    def of(
        cls, state: Mapping[str, Tensor], heads: int | None = None, epsilon: float = 1e-12, padding_id: int = 0
    ) -> BertSize:
        """As tensors under the names of `layouts` describe it, all but the number of heads.

        Raises:
            KeyError, ValueError: they are of no BERT.
        """
        vocabulary, width = state["text.token.weight"].shape
        return cls(
            vocabulary=vocabulary,
            positions=len(state["text.position.weight"]),
            segments=len(state["text.segment.weight"]),
            width=width,
            blocks=sum(name.startswith("text.") and name.endswith(".linear1.weight") for name in state),
            heads=heads or width // HEAD_WIDTH,
            hidden=len(state["text.encoder.layers.0.linear1.weight"]),
            projection=tuple(len(state[name]) for name in sorted(state) if name.startswith("text.proj.")),
            epsilon=epsilon,
            padding_id=padding_id,
        )


class BertTower(nn.Module):
    """BERT (Devlin et al., 2019): (T, L) token ids -> (T, D), the projected last state of the first token.

    Its blocks are PyTorch's own encoder layers, which normalise after each sum as BERT does.
    """

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.padding_id = size.padding_id
        self.token = nn.Embedding(size.vocabulary, size.width)
        self.position = nn.Embedding(size.positions, size.width)
        self.segment = nn.Embedding(size.segments, size.width)
        self.norm = nn.LayerNorm(size.width, size.epsilon)
        block = nn.TransformerEncoderLayer(
            size.width, size.heads, size.hidden, 0.0, "gelu", layer_norm_eps=size.epsilon, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(block, size.blocks, enable_nested_tensor=False)
        self.proj = _perceptron((size.width, *size.projection))

    def forward(self, ids: Tensor) -> Tensor:
        return self.proj(self.hidden(ids)[-1][:, 0])

    def hidden(self, ids: Tensor) -> list[Tensor]:
        """(T, L) -> states of all tokens, (T, L, W): what goes into the first block, then after each block."""
        states = [self.norm(self.token(ids) + self.position.weight[: ids.shape[1]] + self.segment.weight[0])]
        for block in self.encoder.layers:
            states.append(block(states[-1], src_key_padding_mask=ids == self.padding_id))
        return states


def _perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.GELU()]
    return nn.Sequential(*layers[:-1])


class FolderTokenizer:
    """The WordPiece tokenizer of a model folder: T texts -> (T, L) ids, padded to the longest.

    Longer texts are cut to `context` ids. The files are read at the first text, because token ids can be
    encoded without them.
    """

    def __init__(self, folder: Path, context: int) -> None:
        self._folder = folder
        self._context = context
        self._tokenizer: Tokenizer | BertWordPieceTokenizer | None = None

    def __call__(self, texts: list[str]) -> Tensor:
        return torch.tensor([encoding.ids for encoding in self._encode(texts)])

    def pieces(self, text: str) -> tuple[Tensor, list[str]]:
        """(1, L) ids of one text, and the pieces of words that they stand for."""
        (encoding,) = self._encode([text])
        return torch.tensor([encoding.ids]), encoding.tokens

    def _encode(self, texts: list[str]) -> list[Encoding]:
        if self._tokenizer is None:
            self._tokenizer = self._read()
        return self._tokenizer.encode_batch(texts)

    def _read(self) -> Tokenizer | BertWordPieceTokenizer:
        whole, vocabulary = self._folder / "tokenizer.json", self._folder / "vocab.txt"
        if not whole.is_file() and not vocabulary.is_file():
            raise ModelError(
                f"'{self._folder}' has no tokenizer, so that text cannot be read:"
                " copy tokenizer.json or vocab.txt of the model into it."
            )
        try:
            if whole.is_file():
                tokenizer = Tokenizer.from_file(str(whole))
            else:
                tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=_lowercase(self._folder))
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ModelError(f"The tokenizer in '{self._folder}' is damaged: copy its files again.") from error
        tokenizer.enable_truncation(self._context)
        tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]") or 0)
        return tokenizer


def _lowercase(folder: Path) -> bool:
    options = folder / "tokenizer_config.json"
    return not options.is_file() or json.loads(options.read_text("utf-8")).get("do_lower_case", True)
