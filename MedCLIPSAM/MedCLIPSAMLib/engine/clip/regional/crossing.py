"""BERT whose blocks also read an image: the text encoder of BLIP, and the Q-Former of BLIP-2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..bert import HEAD_WIDTH
from .reading import Checkpoint

_EPSILON = 1e-12
_BLOCK = re.compile(r"^encoder\.layer\.(\d+)\.")


class _Output(nn.Module):
    """What was found is added, and the sum normalised."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)

    def forward(self, found: Tensor, states: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(found) + states)


class _Attention(nn.Module):
    def __init__(self, width: int, source: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        parts = {"query": nn.Linear(width, width), "key": nn.Linear(source, width), "value": nn.Linear(source, width)}
        self.add_module("self", nn.ModuleDict(parts))
        self.output = _Output(width, width)

    def weights(self, states: Tensor, source: Tensor, hidden: Tensor | None = None) -> Tensor:
        """(N, L, W) on (N, R, S) -> (N, heads, L, R); ``hidden`` (N, R) bool: what may not be read."""
        query, key = self._split("query", states), self._split("key", source)
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None, None], torch.finfo(scores.dtype).min)
        return scores.softmax(3)

    def read(self, states: Tensor, source: Tensor, weights: Tensor) -> Tensor:
        """(N, L, W) after what the weights say was read."""
        found = weights @ self._split("value", source)
        return self.output(found.transpose(1, 2).flatten(2), states)

    def _split(self, part: str, states: Tensor) -> Tensor:
        return self.get_submodule(f"self.{part}")(states).unflatten(2, (self.heads, -1)).transpose(1, 2)


class _Feed(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)

    def forward(self, states: Tensor) -> Tensor:
        return F.gelu(self.dense(states))


class _Block(nn.Module):
    """``source``: width of image tokens, 0 for a block that does not read them; ``twice``: queries have a part too."""

    def __init__(self, width: int, hidden: int, heads: int, source: int, twice: bool) -> None:
        super().__init__()
        self.attention = _Attention(width, width, heads)
        self.crossattention = _Attention(width, source, heads) if source else None
        self.intermediate, self.output = _Feed(width, hidden), _Output(hidden, width)
        if twice:
            self.intermediate_query, self.output_query = _Feed(width, hidden), _Output(hidden, width)


class _Layers(nn.Module):
    def __init__(self, blocks: list[_Block]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(blocks)


class _Embeddings(nn.Module):
    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Embedding(positions, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)


class CrossTower(nn.Module):
    """Post-norm blocks under the published names of tensors.

    Where there are queries, they come first, they alone read the image, and they have a feed-forward part of their own
    (BLIP-2, Li et al., ICML 2023); else all tokens of the text read it (BLIP, Li et al., ICML 2022).
    """

    def __init__(self, embeddings: _Embeddings, blocks: list[_Block]) -> None:
        super().__init__()
        self.embeddings, self.encoder = embeddings, _Layers(blocks)

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        state: Mapping[str, Tensor],
        heads: int | None = None,
        epsilon: float = _EPSILON,
    ) -> CrossTower:
        """From tensors; ``heads`` as published if None, ``epsilon`` of all norms.

        Raises:
            ModelError: they are of no such tower.
        """
        state = {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}
        vocabulary, width = checkpoint.shape(state, "embeddings.word_embeddings.weight", 2)
        positions, _ = checkpoint.shape(state, "embeddings.position_embeddings.weight", 2)
        hidden, _ = checkpoint.shape(state, "encoder.layer.0.intermediate.dense.weight", 2)
        numbers = sorted({int(match[1]) for name in state if (match := _BLOCK.match(name))})
        heads = heads or max(1, width // HEAD_WIDTH)
        blocks = []
        for number in numbers:
            key = f"encoder.layer.{number}.crossattention.self.key.weight"
            source = checkpoint.shape(state, key, 2)[1] if key in state else 0
            twice = f"encoder.layer.{number}.intermediate_query.dense.weight" in state
            blocks.append(_Block(width, hidden, heads, source, twice))
        tower = checkpoint.fill(cls(_Embeddings(vocabulary, positions, width), blocks), state)
        for module in tower.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = epsilon
        return tower

    @property
    def blocks(self) -> list[_Block]:
        """In order."""
        return cast("list[_Block]", list(self.encoder.layer))

    @property
    def blocks_read(self) -> list[int]:
        """Numbers of the blocks that read an image."""
        return [number for number, block in enumerate(self.blocks) if block.crossattention is not None]

    def embed(self, ids: Tensor | None, queries: Tensor | None = None) -> Tensor:
        """(N, L) ids and (N, Q, W) queries, either of which may be missing -> (N, Q + L, W)."""
        parts = [] if queries is None else [queries]
        if ids is not None:
            words, places = self.embeddings.word_embeddings(ids), self.embeddings.position_embeddings.weight
            parts.append(words + places[: ids.shape[1]])
        return self.embeddings.LayerNorm(torch.cat(parts, 1))

    def run(
        self,
        states: Tensor,
        image: Tensor | None,
        hidden: Tensor | None = None,
        queries: int | None = None,
        watched: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """All blocks.

        Args:
            states: (N, L, W) as of `embed`.
            image: (N, R, S) tokens; None for a text alone.
            hidden: (N, L) bool, padding.
            queries: how many of the tokens are queries; None if the tower has none.
            watched: block whose attention on the image is returned.

        Returns:
            (N, L, W) states, and (N, heads, L or Q, R) attention, from which a gradient of the states can be taken.
        """
        seen = None
        for number, block in enumerate(self.blocks):
            states = block.attention.read(states, states, block.attention.weights(states, states, hidden))
            asking = states.shape[1] if queries is None else queries
            if block.crossattention is not None and image is not None and asking:
                readers = states[:, :asking]
                weights = block.crossattention.weights(readers, image)
                if number == watched:
                    # Only what follows it matters to a gradient.
                    weights = seen = weights.detach().requires_grad_()
                states = torch.cat([block.crossattention.read(readers, image, weights), states[:, asking:]], 1)
            if queries is None:
                states = block.output(block.intermediate(states), states)
            else:
                first, rest = states[:, :queries], states[:, queries:]
                first = block.output_query(block.intermediate_query(first), first)
                states = torch.cat([first, block.output(block.intermediate(rest), rest)], 1)
        return states, seen


def by_gradient(weights: Tensor, answer: Tensor) -> Tensor:
    """Attention (N, heads, L, 1 + R) and (N,) answers that follow from it -> (N, L, R): P max(dP, 0), mean over heads.

    So BLIP's authors show where a text looks (their GradCAM); the first token of the image stands for all of it.
    """
    (gradient,) = torch.autograd.grad(answer.sum(), weights)
    return (weights.detach() * gradient.clamp(min=0)).mean(1)[..., 1:]
