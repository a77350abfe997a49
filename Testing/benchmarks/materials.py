"""What is measured on: models of the usual sizes, real images, and the chain as it would run without this project."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.files.weights import read_state_dict
from MedCLIPSAMLib.engine.machine.cache import TensorCache, Tensors
from MedCLIPSAMLib.engine.presence.presence import NEUTRAL_TEXTS
from MedCLIPSAMLib.engine.sam import lite_medsam
from MedCLIPSAMLib.engine.sam.box_trained import BoxTrainedNetwork
from MedCLIPSAMLib.engine.volume import SliceStack, Volume
from quickstart.report import Case, abdomen, head
from Testing.engine.biomedclip import BIOMEDCLIP, random_state, write_hub

_REPOSITORY = Path(__file__).resolve().parents[2]


class Forgetful(TensorCache):
    """Keeps nothing."""

    def __init__(self) -> None:
        super().__init__(0)

    def each(self, keys: Iterable[str], make: Callable[[list[int]], Iterable[Tensors]]) -> list[Tensors]:
        return list(make(list(range(len(list(keys))))))


def clinical() -> Path | None:
    """The folder with labelled CTs, where there is one: $MEDCLIPSAM_SHARED, or beside the repository."""
    folder = Path(os.environ.get("MEDCLIPSAM_SHARED", _REPOSITORY.parent / "shared")) / "clinical"
    return folder if folder.is_dir() else None


def cases() -> list[tuple[Case, tuple[str, ...]]]:
    """Labelled real volumes with the prompts to measure: the T1 head of nilearn, and the CT where it is at hand."""
    folder = clinical()
    found = [(head(), ("brain",))]
    return found if folder is None else [*found, (abdomen(folder), ("liver", "spleen", "stomach", "left kidney"))]


def large_volume(slices: int, side: int = 512) -> tuple[Volume, str]:
    """(slices, side, side) int16 of a real scan, resampled, and a prompt for something on about half of it."""
    folder = clinical()
    if folder is None:
        case = head().volume
        image, prompt, modality = sitk.GetImageFromArray((case.array * 100).astype(np.int16)), "cerebellum", "MR"
        image.SetSpacing([float(value) for value in case.spacing])
    else:
        image, prompt, modality = sitk.ReadImage(str(folder / "spine_ct.nii.gz"), sitk.sitkInt16), "liver", "CT"
    size = np.array([side, side, slices])
    spacing = np.array(image.GetSize()) * image.GetSpacing() / size
    grid = sitk.Image(size.tolist(), sitk.sitkInt16)
    grid.SetSpacing(spacing.tolist())
    grid.SetOrigin(image.GetOrigin())
    grid.SetDirection(image.GetDirection())
    array = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, -1024))
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * spacing
    return Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, modality, "large"), prompt


def biomedclip_sized(device: str = "cpu") -> DualEncoder:
    """ViT-B/16 and PubMedBERT-base by their shapes, with random weights."""
    with tempfile.TemporaryDirectory() as folder:
        model = load_clip(write_hub(Path(folder) / "biomedclip", BIOMEDCLIP, random_state(BIOMEDCLIP)), device)
        model.encode_text(["liver"])  # the tokenizer is read at the first text
    assert isinstance(model, DualEncoder)
    return model


def aim(model: DualEncoder, pictures: Callable[[Sequence[int]], np.ndarray], slices: int, target: range) -> None:
    """Lets any text of a model with random weights mean the slices in ``target``; the text tower runs all the same."""
    layer = model.recommended.layer
    features = []
    for index in range(0, slices, 5):
        tokens = model.tokens_after(model.preprocess(pictures([index])), layer)
        with torch.no_grad():
            features.append(F.normalize(model.features_after(tokens, layer), dim=1)[0])
    there = torch.tensor([index in target for index in range(0, slices, 5)])
    seen = torch.stack(features)
    inside, outside = seen[there].mean(0), seen[~there].mean(0)
    middle = F.normalize(inside + outside, dim=0)
    direction = F.normalize(inside - outside - ((inside - outside) @ middle) * middle, dim=0)
    encode = type(model).encode_text  # whatever it was aimed at before

    def aimed(texts: Sequence[str]) -> Tensor:
        encode(model, texts)
        return (-direction if tuple(texts) == NEUTRAL_TEXTS else direction).expand(len(texts), -1)

    model.encode_text = aimed  # type: ignore[method-assign]


def lite_medsam_as_it_comes() -> BoxTrainedNetwork:
    """LiteMedSAM with no layer joined and no other order of memory."""
    network = lite_medsam.build_lite_medsam()
    network.load_state_dict(read_state_dict(lite_medsam.weights_file()))
    return BoxTrainedNetwork("lite-medsam", "", network.eval(), _PlainInput(), torch.device("cpu"))


class _PlainInput(lite_medsam.LiteMedSamInput):
    def __call__(self, rgb: np.ndarray) -> Tensor:
        return super().__call__(rgb).contiguous()


def display(case: Case, mask: np.ndarray) -> np.ndarray:
    """(K, J, I) bool mask of a case -> (N, H, W) in the order of its slices."""
    return SliceStack(Volume(mask.astype(np.uint8), case.volume.ijk_to_ras, "other", "mask")).array > 0


def nothing_kept(session: Any) -> Any:
    """The session with a cache that keeps nothing."""
    session._looker._cache = session._masker._cache = Forgetful()
    return session
