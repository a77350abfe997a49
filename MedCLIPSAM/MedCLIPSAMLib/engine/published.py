"""The settings MedCLIP-SAMv2 was published with (Koleilat et al., arXiv:2409.19483): the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class M2IBSettings:
    """How M2IB is run; for brain tumours the authors took layer 9, beta 2 and seed 12.

    Attributes:
        layer: block (0-based) whose output goes through the bottleneck.
        beta: weight of the information in the loss.
        steps: steps of Adam.
        noise_samples: noise tensors drawn per step.
        learning_rate: of Adam.
        seed: of the noise.
    """

    layer: int = 7
    beta: float = 0.1
    steps: int = 10
    noise_samples: int = 10
    learning_rate: float = 1.0
    seed: int = 42


PUBLISHED = M2IBSettings()
