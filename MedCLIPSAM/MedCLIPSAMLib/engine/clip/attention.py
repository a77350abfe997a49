"""A transformer block taken apart, for methods that look into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError


@dataclass(frozen=True)
class AttentionBlock:
    """A pre-norm block of a frozen tower: x + attend(norm1(x)), and to that feed(norm2(...)).

    Attributes:
        norm1, norm2: layer norms, (N, T, W) -> (N, T, W).
        weight, bias: (3 W', W) and (3 W',) of queries, keys and values.
        heads: into which W' is divided.
        project: what the heads read -> what is added to the tokens, (N, T, W') -> (N, T, W).
        feed: normed tokens -> what is added to them, (N, T, W) -> (N, T, W).
        after: what the tower does to the tokens between this block and the next.
    """

    norm1: Callable[[Tensor], Tensor]
    norm2: Callable[[Tensor], Tensor]
    weight: Tensor
    bias: Tensor | None
    heads: int
    project: Callable[[Tensor], Tensor]
    feed: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor] = lambda tokens: tokens

    def split(self, normed: Tensor) -> Tensor:
        """(N, T, W) -> (3, N, heads, T, d): queries, keys and values."""
        packed = nn.functional.linear(normed, self.weight, self.bias)
        return packed.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)

    @staticmethod
    def scores(query: Tensor, key: Tensor) -> Tensor:
        """(N, heads, T, d) both -> (N, heads, T, T), of which a softmax makes the shares of attention."""
        return query * query.shape[-1] ** -0.5 @ key.mT

    def read(self, shares: Tensor, value: Tensor) -> Tensor:
        """What is added to the tokens by attention: (N, heads, T, T) and (N, heads, T, d) -> (N, T, W)."""
        return self.project((shares @ value).transpose(1, 2).flatten(2))

    def attend(self, normed: Tensor) -> Tensor:
        """(N, T, W) -> (N, T, W), as the block was trained."""
        query, key, value = self.split(normed)
        return self.read(self.scores(query, key).softmax(-1), value)

    def __call__(self, tokens: Tensor) -> Tensor:
        """(N, T, W) -> (N, T, W), the whole block."""
        return self.from_attended(tokens + self.attend(self.norm1(tokens)))

    def from_attended(self, tokens: Tensor) -> Tensor:
        """(N, T, W) -> (N, T, W), what follows the attention."""
        return self.after(tokens + self.feed(self.norm2(tokens)))


def not_plain() -> ModelError:
    """Of a block that cannot be taken apart."""
    return ModelError("The image tower's attention is not the textbook's: choose the saliency method 'm2ib'.")


def into_first(blocks: Any, run: Callable[[], object]) -> Tensor:
    """The tokens that go into the first of a tower's ``blocks`` while ``run`` runs it."""
    caught: list[Tensor] = []
    hook = blocks[0].register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    try:
        run()
    finally:
        hook.remove()
    return caught[0]
