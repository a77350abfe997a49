"""Which weights of a model learn, and how it becomes a folder again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.training.learnt import Learnt, learning, let_learn, merged, save_memory, stacks
from MedCLIPSAMLib.training.trainee import Trainee, trainee

from ..engine.biomedclip import TINY, random_state, write_hub, write_hugging_face
from ..engine.fakes import GreyClip

TEXTS = ["a liver", "the spleen of a ct"]


def write_open_clip(folder: Path) -> Path:
    folder.mkdir()
    sizes = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    torch.manual_seed(0)
    network = open_clip.CLIP(**sizes)
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    (folder / "open_clip_config.json").write_text(
        __import__("json").dumps({"model_cfg": sizes, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}})
    )
    return folder


WRITERS = {
    "hub": lambda folder: write_hub(folder, TINY, random_state(TINY)),
    "hugging face": lambda folder: write_hugging_face(folder, TINY, random_state(TINY)),
    "open_clip": write_open_clip,
}


@pytest.fixture(params=["quickstart", *WRITERS])
def learner(request: pytest.FixtureRequest, tmp_path: Path) -> Trainee:
    if request.param == "quickstart":
        return trainee(load_clip("quickstart", "cpu"), None)
    folder = WRITERS[request.param](tmp_path / "model")
    return trainee(load_clip(folder, "cpu"), folder)


def pixels(learner: Trainee) -> torch.Tensor:
    return torch.randn(2, 3, *[learner.model.image_size] * 2, generator=torch.Generator().manual_seed(0))


def loss(learner: Trainee) -> torch.Tensor:
    return learner.images(pixels(learner)).square().sum() + learner.texts(learner.tokenize(TEXTS)).square().sum()


def test_its_features_are_those_of_the_model(learner):
    with torch.no_grad():
        seen, meant = learner.images(pixels(learner)), learner.texts(learner.tokenize(TEXTS))
    torch.testing.assert_close(seen[0], learner.model.encode_image(pixels(learner)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(meant[0], learner.model.encode_text(TEXTS), rtol=1e-4, atol=1e-5)


def test_the_folder_it_becomes_has_the_trained_weights(learner, tmp_path):
    let_learn(learner, Learnt())
    with torch.no_grad():
        for _, weight in learning(learner.network):
            weight += 0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
        seen, meant = learner.images(pixels(learner))[0], learner.texts(learner.tokenize(TEXTS))[0]
    folder = tmp_path / "trained"
    folder.mkdir()
    learner.write(merged(learner.network), folder)
    again = load_clip(folder, "cpu")
    torch.testing.assert_close(again.encode_image(pixels(learner)), seen, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again.encode_text(TEXTS), meant, rtol=1e-4, atol=1e-5)


def test_the_last_blocks_learn_and_those_before_stand_still(learner):
    let_learn(learner, Learnt.parse("last:1"))
    towers = stacks(learner.network)
    assert len(towers) == 2
    for blocks in towers:
        assert all(weight.requires_grad for weight in blocks[-1].parameters())
        assert not any(weight.requires_grad for block in blocks[:-1] for weight in block.parameters())
    ends = {name for name, _ in learning(learner.network) if name.startswith(learner.ends)}
    assert ends
    with pytest.raises(InputError, match="last:99 is more than"):
        let_learn(learner, Learnt.parse("last:99"))


def test_lora_begins_as_the_model_was_and_comes_out_as_plain_weights(learner, tmp_path):
    names = set(learner.network.state_dict())
    before = loss(learner).item()
    let_learn(learner, Learnt.parse("lora:2"))
    assert loss(learner).item() == pytest.approx(before, rel=1e-4)
    learnt = dict(learning(learner.network))
    assert learnt
    assert all(min(weight.shape) == 2 for weight in learnt.values())
    loss(learner).backward()
    with torch.no_grad():
        for name, weight in learnt.items():
            assert weight.grad is not None, name
            weight += 0.05
        changed = learner.images(pixels(learner))[0]
    weights = merged(learner.network)
    assert set(weights) == names
    (tmp_path / "lora").mkdir()
    learner.write(weights, tmp_path / "lora")
    torch.testing.assert_close(
        load_clip(tmp_path / "lora", "cpu").encode_image(pixels(learner)), changed, rtol=1e-3, atol=1e-4
    )


def test_saving_memory_changes_no_gradient(learner):
    let_learn(learner, Learnt())

    def gradients() -> dict[str, Any]:
        learner.network.zero_grad()
        loss(learner).backward()
        return {name: weight.grad.clone() for name, weight in learning(learner.network) if weight.grad is not None}

    expected = gradients()
    save_memory(learner.network)
    found = gradients()
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("text", ["some", "last", "last:0", "lora:x", "all:2", ""])
def test_what_cannot_learn_is_told(text):
    with pytest.raises(InputError, match="--train"):
        Learnt.parse(text)


def test_a_model_of_another_kind_is_not_trained():
    with pytest.raises(ModelError, match="no CLIP of two towers"):
        trainee(GreyClip(), None)
