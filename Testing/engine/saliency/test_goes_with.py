"""What the registry and the catalogue say without PyTorch is so: each method on a model of each kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.methods import SALIENCY
from MedCLIPSAMLib.engine.models.catalogue import catalogue, entries
from MedCLIPSAMLib.engine.saliency import choose, saliency_class
from MedCLIPSAMLib.engine.saliency.base import shown_by
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.settings import Settings

from ..biomedclip import TINY, random_state, write_hub, write_hugging_face
from ..regional import CHECKPOINTS, write_regional

LIBRARY = Path(__file__).parents[3] / "MedCLIPSAM"
OPEN_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Any]:
    """Each model of the catalogue by its name, small and with random weights but for the built-in one."""
    root = tmp_path_factory.mktemp("models")
    state = random_state(TINY)
    folders = {name: write_regional(root / name, name) for name in CHECKPOINTS} | {
        "biomedclip": write_hub(root / "biomedclip", TINY, state),
        "medclip-samv2": write_hugging_face(root / "medclip-samv2", TINY, state),
        "clip-vit-b-16": root / "clip-vit-b-16",
    }
    folders["clip-vit-b-16"].mkdir()
    torch.save(open_clip.CLIP(**OPEN_CLIP).state_dict(), folders["clip-vit-b-16"] / "open_clip_pytorch_model.bin")
    (folders["clip-vit-b-16"] / "open_clip_config.json").write_text(json.dumps({"model_cfg": OPEN_CLIP}))
    return {name: load_clip(folder, "cpu") for name, folder in folders.items()} | {
        "quickstart": load_clip("quickstart")
    }


def works(method: Any, model: Any) -> bool:
    """Whether the model has what the method looks into, found out by looking."""
    rgb = np.zeros((1, model.image_size, model.image_size, 3), np.uint8)
    try:
        return len(method.chosen(model, Settings()).prepare(model, model.preprocess(rgb))) == 1
    except Exception:  # whatever a model raises that has nothing there
        return False


def test_every_model_shows_what_the_catalogue_says(models):
    assert {name: shown_by(model) for name, model in models.items()} == {
        entry.name: entry.shows for entry in entries("clip")
    }
    assert not any(entry.shows for entry in entries("segmenter"))


@pytest.mark.parametrize("name", SALIENCY)
def test_a_method_goes_with_the_models_that_the_registry_says(models, name):
    method = saliency_class(name)
    assert method.name == name
    said = {clip: SALIENCY[name].goes_with(catalogue()[clip].shows) for clip in models}
    assert {clip: method.suits(model) for clip, model in models.items()} == said
    if name == "rise":  # it looks at pixels alone, but texts and images of the others are not made to be compared
        said = dict.fromkeys(said, True)
    assert {clip: works(method, model) for clip, model in models.items()} == said


@pytest.mark.parametrize("clip", [entry.name for entry in entries("clip")])
def test_what_does_not_go_together_is_refused_with_the_names_of_what_does(models, clip):
    fitting = [name for name, method in SALIENCY.items() if method.goes_with(catalogue()[clip].shows)]
    assert models[clip].recommended.saliency in fitting
    for name in SALIENCY.keys() - set(fitting):
        with pytest.raises(InputError) as error:
            choose(name, models[clip], Settings())
        assert str(error.value).endswith(f"choose of {', '.join(fitting)}.")


def test_the_segmenter_of_the_second_look_is_the_one_that_the_registry_says(models):
    named = {name: method.segmenter for name, method in SALIENCY.items() if method.segmenter}
    assert list(named) == [models["quickstart"].recommended.saliency]
    (segmenter,) = named.values()
    assert models["quickstart"].second.segmenter == load_segmenter(segmenter, "cpu").checksum


def test_they_are_told_without_pytorch():
    code = (
        "import sys, MedCLIPSAMLib.engine.methods, MedCLIPSAMLib.engine.models.catalogue; print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=LIBRARY, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
