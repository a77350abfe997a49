"""Models that are looked into by attention: known by their tensors, asked on a volume, refused when damaged."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.regional import REGIONAL
from MedCLIPSAMLib.engine.clip.regional.gloria import GLoRIA, attention, plain
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.models.importing import import_model
from MedCLIPSAMLib.engine.models.store import Store
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.saliency import SALIENCY, TextQuery, choose, normalise
from MedCLIPSAMLib.engine.saliency.base import shown_by
from MedCLIPSAMLib.engine.session.settings import Settings

from ..bars import session
from ..regional import CHECKPOINTS, gloria, kad, write_regional

WITH_MAP = ("gloria", "medclip-resnet", "medclip-swin")
BY_GRADIENT = ("gradcam", "gradcam++", "xgradcam", "layercam")
EFFUSION = Prompt("effusion", ("pleural effusions",), ("lung", "liver"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    return {name: write_regional(tmp_path_factory.mktemp("models") / name, name) for name in CHECKPOINTS}


@pytest.fixture(params=CHECKPOINTS)
def model(request, folders):
    return load_clip(folders[request.param], "cpu")


def _pictures(model, count: int = 2) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 255, (count, model.image_size, model.image_size, 3), np.uint8)


def test_all_of_them_are_tried():
    assert set(CHECKPOINTS) == set(REGIONAL)


def test_a_map_depends_on_the_text_and_on_the_picture(model):
    pixels = model.preprocess(_pictures(model))
    method = choose("attention", model, Settings())
    found = [
        method(model, pixels, TextQuery.encode(model, [text], ["liver"]))
        for text in ("pleural effusions", "nothing in the lung")
    ]
    for batch in found:
        assert batch.maps.shape == (2, model.image_size, model.image_size)
        assert torch.isfinite(batch.maps).all()
        assert batch.maps.flatten(1).std(1).min() > 0
        assert not torch.equal(batch.maps[0], batch.maps[1])
    assert not torch.allclose(found[0].maps, found[1].maps)
    presence = found[0].presence
    assert (presence is not None) == model.answers
    if presence is not None:
        assert ((presence >= 0) & (presence <= 1)).all()


def test_a_text_means_the_same_whatever_it_is_encoded_with(model):
    alone = model.encode_text(["lung"])
    together = model.encode_text(["pleural effusions in the lung", "lung"])
    assert torch.allclose(alone[0], together[1], atol=1e-6)


def test_pictures_do_not_mix(model):
    pixels = model.preprocess(_pictures(model, 3))
    together, alone = model.encode_image(pixels), model.encode_image(pixels[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-4 * float(alone.abs().max()))


def test_methods_that_need_blocks_are_refused_by_name(model):
    fitting = [name for name, method in SALIENCY.items() if method.goes_with(shown_by(model))]
    assert set(fitting) <= {"attention", *BY_GRADIENT}
    for name in SALIENCY.keys() - set(fitting):
        said = f"{re.escape(name)} does not go with .*; choose of {re.escape(', '.join(fitting))}"
        with pytest.raises(InputError, match=said):
            choose(name, model, Settings())
    with pytest.raises(ModelError, match="no blocks"):
        model.tokens_after(model.preprocess(_pictures(model)), 0)


def _both_ways(way, model, pixels, query) -> torch.Tensor:
    """(N, S, S) map of a text and of its opposite together: with random weights one of them may be empty."""
    opposite = replace(query, target=-query.target)
    return way(model, pixels, query).maps + way(model, pixels, opposite).maps


@pytest.mark.parametrize("method", BY_GRADIENT)
@pytest.mark.parametrize("name", WITH_MAP)
def test_the_last_map_is_weighted_by_gradients(name, method, folders):
    model: Any = load_clip(folders[name], "cpu")
    pixels = model.preprocess(_pictures(model))
    way, query = choose(method, model, Settings()), TextQuery.encode(model, ["pleural effusions"])
    found = _both_ways(way, model, pixels, query)
    assert torch.isfinite(found).all()
    assert (found[0] - found[1]).abs().max() > 0.01 * found.max()
    assert torch.allclose(_both_ways(way, model, pixels[1:], query)[0], found[1], atol=1e-4 * float(found.max()))
    features = way.image_features(model, way.prepare(model, pixels))
    assert torch.allclose(features, model.encode_image(pixels), atol=1e-4 * float(features.abs().max()))
    assert way.choices["part"] == "last map"


@pytest.mark.parametrize("name", WITH_MAP)
def test_gradcam_of_the_last_map_is_its_equation(name, folders):
    model: Any = load_clip(folders[name], "cpu")
    pixels = model.preprocess(_pictures(model, 1))
    query = TextQuery.encode(model, ["lung"])
    if not choose("gradcam", model, Settings())(model, pixels, query).maps.any():
        query = replace(query, target=-query.target)
    seen, read_out = model.activations(model.cells_before(pixels))
    with torch.enable_grad():
        seen.requires_grad_()
        agreement = F.cosine_similarity(read_out(seen), query.target[None])
        (gradient,) = torch.autograd.grad(agreement.sum(), seen)
    summed = (seen * gradient.mean(1, keepdim=True)).sum(2).clamp(min=0).detach()
    expected = F.interpolate(summed.view(1, 1, *[math.isqrt(summed.shape[1])] * 2), (224, 224), mode="bilinear")[:, 0]
    ours = choose("gradcam", model, Settings())(model, pixels, query).maps
    assert ours.any()
    assert (normalise(ours) - normalise(expected)).abs().max() < 1e-4


@pytest.mark.parametrize("name", WITH_MAP)
def test_the_last_map_has_no_other_layer_and_was_not_published_with_it(name, folders):
    model = load_clip(folders[name], "cpu")
    with pytest.raises(InputError, match=r"Layer 3 does not exist in .*, which has one map: leave it out"):
        choose("gradcam", model, Settings(layer=3))
    with pytest.raises(InputError, match=f"published with no model such as {name}: leave out --exact"):
        choose("gradcam", model, Settings(exact=True))


@pytest.mark.parametrize("name", WITH_MAP)
def test_gradcam_runs_in_the_chain(name, folders, scene):
    seen = session(scene[0], load_clip(folders[name], "cpu"), saliency="gradcam").preview(8, EFFUSION)
    assert seen.saliency_method == "gradcam"
    assert np.isfinite(seen.saliency).all()
    assert 0 <= seen.score <= 1


def test_a_session_looks_with_it_as_with_any_other(model, scene):
    made = session(scene[0], model)
    seen = made.preview(8, EFFUSION)
    assert seen.saliency.shape == (model.image_size,) * 2
    assert 0 <= seen.score <= 1
    assert ("presence" in seen.clues) == model.answers
    (again,) = [summary for summary in made.segment(EFFUSION).slices if summary.index == 8]
    assert again.score == pytest.approx(seen.score, abs=1e-3)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_it_is_imported_and_loaded_by_its_name(name, folders, model_store):
    entry = import_model(folders[name], Store())
    assert entry.name == name
    Store().verify(name)
    stored, given = load_clip(name, "cpu"), load_clip(folders[name], "cpu")
    assert torch.equal(stored.encode_text(["lung"]), given.encode_text(["lung"]))
    assert stored.image_size == given.image_size


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_without_its_tokenizer_an_import_says_what_is_missing(name, folders, model_store, tmp_path):
    folder = shutil.copytree(folders[name], tmp_path / "model")
    for file in folder.rglob("vocab.txt"):
        file.unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json or vocab\.txt"):
        import_model(folder, Store())


def test_medklip_asks_for_its_text_encoder(folders, model_store, tmp_path):
    folder = shutil.copytree(folders["medklip"], tmp_path / "model")
    shutil.copy(folder / "bert" / "vocab.txt", folder)
    shutil.rmtree(folder / "bert")
    with pytest.raises(ModelError, match=r"Bio_ClinicalBERT there as bert\.bin"):
        load_clip(folder, "cpu")
    with pytest.raises(ModelError, match=r"no bert\.bin or bert\.safetensors"):
        import_model(folder, Store())


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_tensors_that_do_not_go_together_are_named(name, folders, tmp_path):
    folder = shutil.copytree(folders[name], tmp_path / "model")
    file = folder / CHECKPOINTS[name][0]
    content = torch.load(file, weights_only=True)
    parts = [content] if name.startswith("medclip") else [part for part in content.values() if isinstance(part, dict)]
    ends = ("0.conv1.weight", "layernorm_before.weight", "attention.output.LayerNorm.weight")
    state, broken = next((part, key) for part in parts for key in part if key.endswith(ends))
    state[broken] = state[broken][:1]
    torch.save(content, file)
    with pytest.raises(ModelError, match=r"is of another size|its tensors say"):
        load_clip(folder, "cpu")
    del state[broken]
    torch.save(content, file)
    with pytest.raises(ModelError, match=r"\(no '|\('"):
        load_clip(folder, "cpu")


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path, model_store):
    content = gloria()
    content["hyper_parameters"] = Settings()  # an object of a class, as training programs leave it there
    torch.save(content, tmp_path / "chexpert_resnet50.ckpt")
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(ModelError, match="holds Python objects beside its tensors"):
        load_clip(tmp_path, "cpu")
    with pytest.raises(ModelError, match="holds Python objects beside its tensors"):
        import_model(tmp_path, Store())


def test_a_folder_of_something_else_says_what_is_needed(tmp_path):
    with pytest.raises(ModelError, match="holds no image-text model: give the folder of one model"):
        load_clip(tmp_path, "cpu")
    torch.save({"weight": torch.ones(2)}, tmp_path / "any.pt")
    with pytest.raises(ModelError, match="no image-text model that is known by its tensors"):
        load_clip(tmp_path, "cpu")
    torch.save({"weight": torch.ones(2)}, tmp_path / "another.pt")
    with pytest.raises(ModelError, match="several files of weights"):
        load_clip(tmp_path, "cpu")


def test_gloria_reads_words_as_it_was_taught(folders):
    model = load_clip(folders["gloria"], "cpu")
    assert isinstance(model, GLoRIA)
    assert plain("Pleural, effusions!") == "pleural effusions"
    assert len(model.words("pleural effusions")) == 4  # begin, two words of which one has two pieces, end
    assert torch.allclose(model.encode_text(["Pleural effusions."]), model.encode_text(["pleural effusions"]))


def test_gloria_with_a_small_network(folders, tmp_path):
    folder = shutil.copytree(folders["gloria"], tmp_path / "model")
    torch.save(gloria(deep=False), folder / CHECKPOINTS["gloria"][0])
    model = load_clip(folder, "cpu")
    assert isinstance(model, GLoRIA)
    assert model.regions(model.preprocess(_pictures(model))).shape == (2, 1 + 19 * 19, 64)


def test_words_compete_for_regions():
    """One region is like the first word, another like the second, the third like none."""
    words, regions = torch.eye(2, 4) * 10, torch.eye(3, 4)[None]
    maps = attention(words, regions)[0]
    assert maps.sum(1).tolist() == pytest.approx([1, 1])
    assert maps[0].argmax() == 0
    assert maps[1].argmax() == 1
    assert maps[0, 2] == pytest.approx(float(maps[1, 2]))


@pytest.mark.parametrize(("layers", "name", "size"), [(3, "kad.pt", 224), (4, "kad.pt", 512), (4, "KAD_1024.pt", 1024)])
def test_kad_comes_in_three_sizes(layers, name, size, folders, tmp_path):
    shutil.copy(folders["kad"] / "vocab.txt", tmp_path)
    torch.save(kad(layers), tmp_path / name)
    assert load_clip(tmp_path, "cpu").image_size == size


def test_what_is_asked_together_changes_the_answer_of_a_query(folders):
    """Its queries look at one another: contrast wordings are asked with the prompt."""
    model = load_clip(folders["kad"], "cpu")
    pixels = model.preprocess(_pictures(model))
    method = choose("attention", model, Settings())
    alone, beside = (
        method(model, pixels, TextQuery.encode(model, ["lung"], contrast)).presence for contrast in ([], ["liver"])
    )
    assert alone is not None
    assert beside is not None
    assert not torch.allclose(alone, beside)
