"""BLIP and BLIP-2 (Li et al., ICML 2022 and 2023), under LAVIS's names of tensors: does a text match, and where."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..bert import HEAD_WIDTH, FolderTokenizer
from ..pixels import CLIP_COLOURS, Colours
from .base import RegionalModel
from .crossing import CrossTower, by_gradient
from .reading import Checkpoint

_SHOWN = 7 / 12  # number (0-based) of the block whose attention BLIP's authors show, as a share of all
_CONTEXT = 35
_WIDE_HEADS = {1408: 16}  # of image towers whose heads are of another width


@dataclass(frozen=True)
class Untold:
    """What tensors do not tell; as LAVIS has it, where nothing else is given.

    Attributes:
        image_heads, text_heads: of the published width if None; ``text_heads`` are those of what reads the image.
        image_epsilon, last_epsilon, text_epsilon: of norms in the image tower, after it (BLIP-2), and of the text.
        colours: mean and spread of the pictures that it was trained with.
    """

    image_heads: int | None = None
    text_heads: int | None = None
    image_epsilon: float = 1e-6
    last_epsilon: float = 1e-5
    text_epsilon: float = 1e-12
    colours: Colours = CLIP_COLOURS


LAVIS = Untold()


class Matching(RegionalModel):
    """Its text reads the image, and a head says whether they match.

    The map is BLIP's GradCAM: attention on the image times what it does for the answer. BLIP-2 has none; its map is
    made alike.
    """

    answers: ClassVar[bool] = True

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        untold: Untold,
        tower: CrossTower,
        others: Sequence[nn.Module] = (),
    ) -> None:
        self._vision, image_size = _vision(checkpoint, untold)
        self._tower = tower
        self._head = checkpoint.linear(checkpoint.under("itm_head."))
        places = tower.embeddings.position_embeddings.num_embeddings
        tokenize = FolderTokenizer(checkpoint.weights.parent, min(_CONTEXT, places))
        parts = nn.ModuleList([self._vision, tower, self._head, *others])
        super().__init__(checkpoint, device, tokenize, parts, image_size, untold.colours)

    @abstractmethod
    def match(self, image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1 + R, D) tokens of images and (1, L) ids of a text -> logits (N, 2) of "no" and "yes", maps (N, R)."""

    @torch.no_grad()
    def regions(self, pixels: Tensor) -> Tensor:
        """See `AttentiveModel.regions`; the class token stands for the image as a whole."""
        return self._vision.forward_features(pixels.to(self.device))

    def ask(self, wordings: Sequence[str], contrast: Sequence[str]) -> tuple[Tensor, ...]:
        """(1, L) ids of each wording."""
        return tuple(self._tokenize([text]).to(self.device) for text in wordings)

    def attend(self, regions: Tensor, target: Tensor, asked: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """See `AttentiveModel.attend`: the mean over wordings."""
        found = [self.match(regions, ids) for ids in asked]
        presence = torch.stack([logits.softmax(1)[:, 1] for logits, _ in found]).mean(0)
        return torch.stack([maps for _, maps in found]).mean(0), presence


class BLIP(Matching):
    """All tokens of a text read the image; its first one answers."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, untold: Untold = LAVIS) -> None:
        state = checkpoint.under("text_encoder.")
        tower = CrossTower.of(checkpoint, state, untold.text_heads, untold.text_epsilon)
        super().__init__(checkpoint, device, untold, tower)

    def match(self, image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """See `Matching.match`: the mean over words, those that begin and end the text not counted."""
        ids = self._begun(ids).expand(len(image), -1)
        block = self._tower.blocks_read[int(_SHOWN * len(self._tower.blocks_read))]
        logits, maps = matched(self._tower, self._head, image, ids, block)
        return logits, maps[:, 1:-1].mean(1)

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`: the first token of the text alone."""
        ids = self._begun(ids.to(self.device))
        return self._tower.run(self._tower.embed(ids), None, ids == 0)[0][:, 0]

    def _begun(self, ids: Tensor) -> Tensor:
        """With the last token of the vocabulary, which says that an image is to be read, in the first place."""
        first = torch.full_like(ids[:, :1], self._tower.embeddings.word_embeddings.num_embeddings - 1)
        return torch.cat([first, ids[:, 1:]], 1)


class BLIP2(Matching):
    """Learnt queries read the image, and the text reads them; all queries answer."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, untold: Untold = LAVIS) -> None:
        self.queries = QFormer(checkpoint, untold)
        super().__init__(checkpoint, device, untold, self.queries.tower, [self.queries])

    def match(self, image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """See `Matching.match`: the mean over queries, at the last block that reads the image."""
        block = self._tower.blocks_read[-1]
        logits, maps, _ = self.queries.matched(self._head, image, ids.expand(len(image), -1), block)
        return logits, maps

    @torch.no_grad()
    def encode_token_ids(self, ids: Tensor) -> Tensor:
        """See `RegionalModel.encode_token_ids`."""
        return self.queries.of_text(ids.to(self.device))


class QFormer(nn.Module):
    """BLIP-2 but for its image tower."""

    def __init__(self, checkpoint: Checkpoint, untold: Untold = LAVIS) -> None:
        super().__init__()
        state = checkpoint.under("Qformer.bert.")
        self.tower = CrossTower.of(checkpoint, state, untold.text_heads, untold.text_epsilon)
        self.tokens = nn.Parameter(checkpoint.under("query_tokens")[""])
        norm = checkpoint.under("ln_vision.")
        (width,) = checkpoint.shape(norm, "weight", 1)
        self.norm = checkpoint.fill(nn.LayerNorm(width, untold.last_epsilon), norm)
        self.project_image = checkpoint.linear(checkpoint.under("vision_proj."))
        self.project_text = checkpoint.linear(checkpoint.under("text_proj."))

    def matched(self, head: nn.Linear, image: Tensor, ids: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1 + R, D) tokens and (N, L) ids -> (N, 2) logits, (N, R) maps, (N, heads, Q, 1 + R) attention."""
        count = self.tokens.shape[1]
        hidden = torch.cat([ids.new_zeros((len(ids), count)), ids == 0], 1).bool()
        with torch.enable_grad():
            states = self.tower.embed(ids, self.tokens.expand(len(image), -1, -1))
            states, seen = self.tower.run(states, self.norm(image), hidden, count, block)
            assert seen is not None
            logits = head(states[:, :count]).mean(1)
            maps = by_gradient(seen, logits[:, 1]).mean(1)
        return logits.detach(), maps, seen.detach()

    def of_image(self, image: Tensor) -> Tensor:
        """(N, 1 + R, D) tokens -> (N, Q, E) of the queries, not normalised."""
        states = self.tower.embed(None, self.tokens.expand(len(image), -1, -1))
        return self.project_image(self.tower.run(states, self.norm(image), None, self.tokens.shape[1])[0])

    def of_text(self, ids: Tensor) -> Tensor:
        """(T, L) ids -> (T, E), not normalised."""
        return self.project_text(self.tower.run(self.tower.embed(ids), None, ids == 0, 0)[0][:, 0])


def matched(tower: CrossTower, head: nn.Linear, image: Tensor, ids: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """(N, 1 + R, D) tokens and (N, L) ids, padded with 0 -> (N, 2) logits, and (N, L, R) where each token looks."""
    with torch.enable_grad():
        states, seen = tower.run(tower.embed(ids), image, ids == 0, watched=block)
        assert seen is not None
        logits = head(states[:, 0])
        maps = by_gradient(seen, logits[:, 1]) * (ids != 0)[..., None]
    return logits.detach(), maps


def _vision(checkpoint: Checkpoint, untold: Untold) -> tuple[VisionTransformer, int]:
    """The image tower, a vision transformer under timm's names, and the side of its images in pixels.

    Raises:
        ModelError: it is none.
    """
    state = checkpoint.under("visual_encoder.")
    width, _, patch, _ = checkpoint.shape(state, "patch_embed.proj.weight", 4)
    hidden, _ = checkpoint.shape(state, "blocks.0.mlp.fc1.weight", 2)
    tokens = checkpoint.shape(state, "pos_embed", 3)[1]
    depth = sum(name.endswith(".mlp.fc1.weight") for name in state)
    for number in range(depth):
        attention = f"blocks.{number}.attn"
        if f"{attention}.q_bias" in state:  # EVA's keys have none
            query, value = state.pop(f"{attention}.q_bias"), state.pop(f"{attention}.v_bias")
            state[f"{attention}.qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    size = math.isqrt(tokens - 1) * patch
    # Without storage: the largest has a thousand million weights, which are taken from the file as they are.
    with torch.device("meta"):
        tower = VisionTransformer(
            size,
            patch,
            num_classes=0,
            embed_dim=width,
            depth=depth,
            num_heads=untold.image_heads or _WIDE_HEADS.get(width, max(1, width // HEAD_WIDTH)),
            mlp_ratio=hidden / width,
            norm_layer=partial(nn.LayerNorm, eps=untold.image_epsilon),
            final_norm="norm.weight" in state,
        )
    return checkpoint.fill(tower, state), size
