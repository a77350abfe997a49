from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.saliency import TextQuery, normalise
from MedCLIPSAMLib.engine.saliency.m2ib import M2IB
from Testing.engine.biomedclip import Size, random_state, write_hugging_face
from Testing.reference.check import main

DATA = Path(__file__).resolve().parents[2] / "reference" / "data"
SMALL = Size("", 128, 2, 2, 128, 1, 40, 16, 32, image_size=32, patch=8)


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "m2ib_tail.npz"))


@pytest.fixture(scope="module")
def tail(published, tmp_path_factory) -> DualEncoder:
    """The last two blocks of the published model, behind a block of zeros, which lets tokens through."""
    folder = tmp_path_factory.mktemp("tail")
    blocks = {"10": "1", "11": "2"}
    state = {
        "vision_model.embeddings.class_embedding": torch.zeros(192),
        "vision_model.embeddings.position_embedding.weight": torch.zeros(197, 192),
        "vision_model.embeddings.patch_embedding.weight": torch.zeros(192, 3, 16, 16),
        "vision_model.embeddings.patch_embedding.bias": torch.zeros(192),
    }
    for name, array in published.items():
        if name.startswith("vision_model.encoder.layers."):
            before, old, after = name[:28], *name[28:].split(".", 1)
            state[f"{before}{blocks[old]}.{after}"] = torch.from_numpy(array)
            state[f"{before}0.{after}"] = torch.zeros(array.shape)
        elif "." in name:
            state[name] = torch.from_numpy(array)
    torch.save(state, folder / "pytorch_model.bin")
    shutil.copy(DATA / "config.json", folder)
    model = load_clip(folder, "cpu")
    assert isinstance(model, DualEncoder)
    return model


def largest_difference(ours: torch.Tensor, theirs: np.ndarray) -> float:
    return float(np.abs(ours.numpy() - theirs).max() / np.abs(theirs).max())


def test_text_features_are_the_published_ones(tail, published) -> None:
    ours = tail.encode_token_ids(torch.from_numpy(published["token_ids"]))
    assert largest_difference(ours, published["text_features"]) <= 1e-4


def test_image_features_are_the_published_ones(tail, published) -> None:
    ours = tail.features_after(torch.from_numpy(published["tokens"]), 0)
    assert largest_difference(ours, published["image_features"]) <= 1e-4


def test_saliency_is_the_published_one(tail, published) -> None:
    query = TextQuery.from_features(torch.from_numpy(published["text_features"]))
    method = M2IB(layer=0, beta=2.0, seed=12, noise="published")
    ours = normalise(method.explain(tail, torch.from_numpy(published["tokens"]), query).maps)[0]
    assert np.abs(ours.numpy() - published["saliency"]).max() <= 1e-3
    other = normalise(
        M2IB(layer=0, beta=2.0, seed=13, noise="published")
        .explain(tail, torch.from_numpy(published["tokens"]), query)
        .maps
    )[0]
    assert np.abs(other.numpy() - published["saliency"]).max() > 1e-3


def test_localisation_is_the_published_one(capsys) -> None:
    assert main([str(DATA)]) == 0
    assert "36 of 36 cases agree" in capsys.readouterr().out


def test_all_reference_cases_agree_where_they_are_at_hand(shared, capsys) -> None:
    folder = DATA if shared is None else shared / "reference"
    assert main([str(folder)]) == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.fixture
def cases(tmp_path) -> Path:
    """Cases of another model than the published one, in the same format, made by the engine itself."""
    folder = write_hugging_face(tmp_path / "cases", SMALL, random_state(SMALL))
    model = load_clip(folder, "cpu")
    assert isinstance(model, DualEncoder)
    generator = torch.Generator().manual_seed(0)
    arrays = {"pixel_values": torch.randn(2, 3, 32, 32, generator=generator)}
    entries = []
    for case, (texts, layer) in enumerate([(1, 0), (3, 1)]):
        entry = {"case": case, "image": case, "layer": layer, "beta": 0.5, "seed": 3 + case}
        entries.append(entry | {"ensemble": texts > 1, "noise_samples": 2, "steps": 4, "lr": 0.5})
        ids = torch.randint(1, 40, (texts, 6), generator=generator)
        pixels, text = arrays["pixel_values"][[case]], model.encode_token_ids(ids)
        method = M2IB(layer, 0.5, 4, 0.5, noise="published", noise_samples=2, seed=3 + case)
        arrays[f"case{case}_token_ids"] = ids
        arrays[f"case{case}_text_features"] = text
        arrays[f"case{case}_image_features"] = model.encode_image(pixels)
        saliency = method(model, pixels, TextQuery.from_features(text))
        arrays[f"case{case}_saliency"] = normalise(saliency.maps)[0]
    np.savez(folder / "m2ib.npz", allow_pickle=False, **{name: tensor.numpy() for name, tensor in arrays.items()})
    (folder / "m2ib.json").write_text(json.dumps(entries), "utf-8")
    for name in ("localize.json", "localize.npz"):
        shutil.copy(DATA / name, folder)
    return folder


def test_the_check_takes_other_weights_and_cases(cases) -> None:
    assert main([str(cases)]) == 0


@pytest.mark.parametrize("what", ["text_features", "image_features", "saliency"])
def test_the_check_fails_beyond_its_limits(cases, capsys, what: str) -> None:
    arrays = dict(np.load(cases / "m2ib.npz"))
    arrays[f"case1_{what}"] = arrays[f"case1_{what}"] + 2e-3 * np.abs(arrays[f"case1_{what}"]).max()
    np.savez(cases / "m2ib.npz", **arrays)
    assert main([str(cases), "--without-crf"]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert [line.split(",")[0] for line in failed] == ["FAIL m2ib case1"]


def test_the_check_fails_for_another_mask_or_box(cases, capsys) -> None:
    arrays = dict(np.load(cases / "localize.npz"))
    arrays["0_th_top1"] = np.roll(arrays["0_th_top1"], 1, 0)
    np.savez(cases / "localize.npz", **arrays)
    entries = json.loads((cases / "localize.json").read_text("utf-8"))
    changed = next(entry for entry in entries if entry["image"] == 2 and entry["method"] == "kmeans")
    changed["boxes_xyxy"][0][2] += 1
    (cases / "localize.json").write_text(json.dumps(entries), "utf-8")
    assert main([str(cases), "--without-crf"]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 3
    assert sum("image 0, threshold, 1 largest" in line for line in failed) == 2
    assert sum("image 2, kmeans" in line for line in failed) == 1


def test_without_pydensecrf_the_check_does_not_claim_success(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    assert main([str(DATA)]) == 1
    assert "not run: Localisation by 'crf' needs the package pydensecrf2" in capsys.readouterr().out
    assert main([str(DATA), "--without-crf"]) == 0
    assert "24 of 24 cases agree; dense CRF was left out" in capsys.readouterr().out


def test_a_folder_without_cases_is_refused(tmp_path, capsys) -> None:
    assert main([str(tmp_path)]) == 2
    assert "none of m2ib.json, localize.json, cam.json, gloria.json" in capsys.readouterr().err


def test_cases_without_their_model_are_refused(cases, capsys) -> None:
    (cases / "pytorch_model.bin").unlink()
    assert main([str(cases)]) == 2
    assert "has no weights" in capsys.readouterr().err
