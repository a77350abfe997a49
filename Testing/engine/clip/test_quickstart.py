"""The built-in model: its interface, its files, and that it looks where the text says, on real images."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from MedCLIPSAMLib.engine.clip.quickstart.model import QuickStart, load_quickstart
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.files.resources import resource
from MedCLIPSAMLib.engine.saliency import TextQuery, saliency_method
from MedCLIPSAMLib.engine.volume import Frame, SliceStack, Volume, Window, automatic_window

from ...samples import ABDOMEN_MM, abdomen_organs, abdomen_slice

CPU = torch.device("cpu")
SOFT_TISSUE = Window(-160, 240)


@pytest.fixture(scope="module")
def model() -> QuickStart:
    return load_quickstart(CPU)


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    """An axial slice through the brain of the MNI152 T1 head that nilearn carries: (S, S, 3) uint8, brain (S, S)."""
    from nilearn import datasets

    image, brain = (
        np.asarray(loaded.dataobj).T
        for loaded in (datasets.load_mni152_template(2), datasets.load_mni152_brain_mask(2))
    )
    affine = datasets.load_mni152_template(2).affine
    volume = Volume(np.ascontiguousarray(image, np.float32), affine, "MR", "head")
    stack, window = SliceStack(volume, "axial"), automatic_window(volume)
    frame = Frame.around(stack, window)
    masks = SliceStack(Volume(np.ascontiguousarray(brain, np.uint8), affine, "other", "brain"), "axial")
    number = len(stack) // 2
    grey = frame.crop(window.to_uint8(stack.array[number]), 192)
    return np.repeat(grey[..., None], 3, 2), frame.crop(masks.array[number].astype(np.float32), 192) > 0.5


def test_is_the_registered_model(model):
    assert load_clip("quickstart", "cpu").checksum == model.checksum


def test_is_small_and_deep_enough(model):
    files = sum(file.stat().st_size for file in resource("QuickStart").iterdir())
    assert files <= 16e6
    assert model.block_count >= 8


def test_can_be_split_after_any_block(model, head):
    pixels = model.preprocess(head[0][None])
    whole = model.encode_image(pixels)
    for layer in range(model.block_count):
        tokens = model.tokens_after(pixels, layer)
        assert tokens.shape == (1, 1 + model.grid**2, model.token_width)
        assert torch.allclose(model.features_after(tokens, layer), whole, atol=1e-4 * whole.abs().max())


def test_looks_the_same_alone_and_in_a_batch(model, head):
    picture = head[0]
    pair = model.look(model.preprocess(np.stack([picture, picture[::-1]])))
    alone = model.look(model.preprocess(picture[None]))
    assert pair.shape == (2, 1 + model.dense_grid**2, model.encode_text(["brain"]).shape[1])
    assert torch.allclose(pair[0].float(), alone[0].float(), atol=5e-3)
    assert torch.allclose(alone.float().norm(dim=-1), torch.ones(()), atol=1e-2)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("hepatic parenchyma", "liver"),
        ("find the kidneys on this CT", "kidney"),
        ("the gland that produces bile", "liver"),
        ("carburettor", None),
        ("meniscus of the knee", None),
        ("xqzzy", None),
        ("cancer of the liver", None),
        ("stone in the kidney", None),
    ],
)
def test_says_which_of_its_terms_a_text_means(model, text, term):
    assert model.vocabulary.meaning(TextQuery.encode(model, [text]).target) == term


def test_weighs_a_text_against_what_shares_no_part_with_it(model):
    terms, vocabulary = list(model.vocabulary.terms), model.vocabulary
    rivals = vocabulary.rivals(TextQuery.encode(model, ["left kidney"]).target)
    assert len(rivals) == len(terms) - 2  # neither itself nor the kidneys
    assert len(vocabulary.rivals(TextQuery.encode(model, ["carburettor"]).target)) == len(terms)


def test_takes_any_text(model):
    texts = ["brain", "BRAIN", "the brain, please!", "brain \N{BRAIN}", "x" * 300, "brain (мозг)"]
    features = model.encode_text(texts)
    assert features.isfinite().all()
    assert torch.allclose(features[0], features[1])


def test_finds_the_brain_and_not_the_liver(model, head):
    picture, brain = head
    dense = saliency_method("dense")
    pixels = model.preprocess(picture[None])
    found = dense(model, pixels, TextQuery.encode(model, ["brain"]))
    mask = found.maps[0].numpy() > 0.5
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.85
    assert found.presence is not None
    assert found.presence[0] > 0.5
    for text in ("liver", "spleen", "bicycle", "qwzx"):
        absent = dense(model, pixels, TextQuery.encode(model, [text]))
        assert absent.presence is not None
        assert absent.presence[0] < 0.3, text


def test_contrast_wordings_take_away(model, head):
    dense = saliency_method("dense")
    pixels = model.preprocess(head[0][None])
    alone = dense(model, pixels, TextQuery.encode(model, ["brain"]))
    against = dense(model, pixels, TextQuery.encode(model, ["brain"], ["cerebral tissue"]))
    assert against.information[0] < 0.8 * alone.information[0]


def test_m2ib_depends_on_the_text(model):
    """More of the liver passes for "liver" than for "spleen", and the other way round."""
    grey, organs = SOFT_TISSUE.to_uint8(abdomen_slice()), abdomen_organs()
    frame = Frame.whole(grey.shape, (ABDOMEN_MM, ABDOMEN_MM))
    regions = [frame.crop(organs[name].astype(np.float32), 192) > 0.5 for name in ("liver", "spleen")]
    pixels = model.preprocess(np.repeat(frame.crop(grey, 192)[None, ..., None], 3, 3))
    method = saliency_method("m2ib", layer=model.recommended.layer, beta=model.recommended.beta)
    liver, spleen = (
        method(model, pixels, TextQuery.encode(model, [text])).maps[0].numpy() for text in ("liver", "spleen")
    )
    ratios = [values[regions[0]].mean() / values[regions[1]].mean() for values in (liver, spleen)]
    assert ratios[0] > 1.1 * ratios[1]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "anchors.json"])
def test_damaged_files_are_named(tmp_path, name):
    folder = shutil.copytree(resource("QuickStart"), tmp_path / "model")
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(ModelError, match=r"(?i)damaged"):
        QuickStart(folder, CPU)


@pytest.mark.parametrize("text", ["肝臓", "печень", "🫀"])
def test_a_text_that_cannot_be_read_is_refused(text):
    clip = load_clip("quickstart", "cpu")
    with pytest.raises(InputError, match="cannot read"):
        clip.encode_text(["liver", text])
    assert clip.encode_text([f"liver {text}"]).shape[0] == 1
