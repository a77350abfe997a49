"""What LiteMedSAM's encoder costs in each number format."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from MedCLIPSAMLib.engine.machine.precision import computing_in
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.looking import Viewer
from MedCLIPSAMLib.engine.volume import SliceStack

from .figures import Figure, at_least, at_most, has_amx
from .materials import large_volume, lite_medsam_as_it_comes
from .saliency import seconds

_CPU = torch.device("cpu")


def encoder(repeats: int) -> list[Figure]:
    """One slice of a CT: as the encoder comes, under autocast, and as the engine runs it; the best of ``repeats``."""
    volume, _ = large_volume(3)
    ours, plain = load_segmenter("lite-medsam", "cpu"), lite_medsam_as_it_comes()
    pictures = Viewer(SliceStack(volume), None, False).pictures([1], ours.image_size)

    def embed_in(dtype: torch.dtype, segmenter: object) -> Callable[[], Tensor]:
        def embed() -> Tensor:
            with computing_in(dtype, _CPU):
                return segmenter.embed(pictures).features.float()  # type: ignore[attr-defined]

        return embed

    ways = {"as it comes": embed_in(torch.float32, plain), "fp32": embed_in(torch.float32, ours)}
    if has_amx():
        ways |= {"autocast": embed_in(torch.bfloat16, plain), "bf16": embed_in(torch.bfloat16, ours)}
    seen = {name: embed() for name, embed in ways.items()}  # the first run of anything is slower
    taken = {name: min(seconds(embed)[0] for _ in range(repeats)) for name, embed in ways.items()}
    found = [Figure(f"LiteMedSAM's encoder, {name}, a slice", value, None, None, "s") for name, value in taken.items()]
    if not has_amx():
        return [*found, Figure("LiteMedSAM's encoder, bf16 (not measured: no AMX)", None, 1, None, "x")]
    errors = {name: float((one - seen["fp32"]).norm() / seen["fp32"].norm()) for name, one in seen.items()}
    return [
        *found,
        at_least("LiteMedSAM's encoder: autocast as it comes / bf16", taken["autocast"] / taken["bf16"], 1.0),
        at_least("LiteMedSAM's encoder: fp32 / bf16", taken["fp32"] / taken["bf16"], 1.0),
        at_most(
            "error of its bf16 features / of autocast's, against fp32", errors["bf16"] / errors["autocast"], 1.1, ""
        ),
    ]
