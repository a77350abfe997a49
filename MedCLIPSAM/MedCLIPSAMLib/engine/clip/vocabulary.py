"""The terms that a model was trained with, and which of them a text means."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

# Wordings of a term are nearer than 0.9 to it; most other texts less near than 0.5, but by far not all.
_SAME = 0.8


class Vocabulary:
    """Terms in the joint space of a model.

    Args:
        parts: for each term the parts of the body that it covers.
        features: (terms, D), as the model encodes the terms.

    Attributes:
        terms: in the order given.
    """

    def __init__(self, parts: Mapping[str, frozenset[str]], features: Tensor) -> None:
        self.terms = tuple(parts)
        self._parts = tuple(parts.values())
        self._features = F.normalize(features, dim=1)

    def meaning(self, text: Tensor) -> str | None:
        """The term that the text (D,), of length 1, means; None if it is near none."""
        nearness = self._features @ text
        nearest = int(nearness.argmax())
        return self.terms[nearest] if nearness[nearest] > _SAME else None

    def rivals(self, text: Tensor) -> Tensor:
        """(R, D) of length 1: the terms that share no part with what the text means."""
        term = self.meaning(text)
        meant = frozenset() if term is None else self._parts[self.terms.index(term)]
        return self._features[[not covered & meant for covered in self._parts]]
