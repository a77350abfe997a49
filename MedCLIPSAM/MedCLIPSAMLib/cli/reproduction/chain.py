"""The chain on one picture, as published for its set, or as the model that runs it is best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.localize import binarizer, bounding_boxes, keep_largest
from ...engine.localize.components import label
from ...engine.prompt.prompt import Prompt
from ...engine.session.session import Session
from ...engine.session.settings import Settings
from ...scene.pictures import Picture
from .published import PublishedSet


@dataclass(frozen=True)
class Chain:
    """Two models, and how they are run.

    Attributes:
        as_published: whether with the settings of each set, which go with M2IB; else with those of the model.
    """

    clip: Any
    segmenter: Any
    precision: str

    @property
    def as_published(self) -> bool:
        return self.clip.recommended.saliency == "m2ib"

    def settings(self, published: PublishedSet) -> Settings:
        """Of a session on a picture of the set."""
        if not self.as_published:
            return Settings(precision=self.precision)
        return Settings(
            saliency="m2ib",
            layer=published.layer,
            beta=published.beta,
            seed=published.seed,
            localize=published.localize,
            precision=self.precision,
            exact=True,
        )

    def open(self, name: str, picture: Picture, published: PublishedSet) -> Session:
        """A session on a picture."""
        return Session(picture.as_volume(name), self.clip, self.segmenter, self.settings(published))

    def draw(self, session: Session, text: str, published: PublishedSet, cancelled: Callable[[], bool]) -> np.ndarray:
        """(H, W) bool: what the chain makes of a prompt.

        Raises:
            Cancelled: ``cancelled`` said so.
        """
        if not self.as_published:
            return session.segment(Prompt(text, (text,)), cancelled=cancelled).mask[0]
        return _published(session, Prompt(text, (text,), instances=published.contours), published, cancelled)


def _published(session: Session, prompt: Prompt, published: PublishedSet, cancelled: Callable[[], bool]) -> np.ndarray:
    """As the authors' programs do it: of the mask, too, as many parts are kept as the saliency has."""
    seen = session.preview(0, prompt, cancelled)
    grey = session.window.to_uint8(session.stack.array[0])
    coarse = keep_largest(binarizer(published.localize)(seen.heat_map(), grey), published.contours)
    mask = seen.mask
    if published.box_each and coarse.any():
        boxes = bounding_boxes(coarse, each=True).astype(float)
        mask = session.draw(0, boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)])
    return keep_largest(mask, max(1, label(coarse)[1]))
