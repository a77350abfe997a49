"""BLIP and BLIP-2 in the hub's layout: as transformers has them, imported in every form, refused in a sentence."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.regional.blip import BLIP, BLIP2, Matching
from MedCLIPSAMLib.engine.clip.regional.hub import load_blip, load_blip2
from MedCLIPSAMLib.engine.clip.regional.reading import Checkpoint
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.models.importing import export_model, import_model
from MedCLIPSAMLib.engine.models.store import Store

from ..hub_blip import MEAN, OTHERS, RETRIEVAL, SIDE, STD, genuine, published_size, write_folder
from ..regional import write_regional

FORMS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
TEXTS = ("pleural effusions in the lung", "liver")
CLOSE = 1e-4


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return {name: genuine(name) for name in RETRIEVAL}


@pytest.fixture(scope="module")
def folders(published, tmp_path_factory) -> dict[str, Path]:
    """In several files, as the largest come."""
    room = tmp_path_factory.mktemp("hub")
    return {name: write_folder(room / name, model, FORMS[1]) for name, model in published.items()}


@pytest.fixture
def folder(folders, tmp_path) -> Path:
    """A copy of BLIP, to be spoilt."""
    return shutil.copytree(folders["blip"], tmp_path / "spoilt")


def loaded(folder: Path) -> Matching:
    model = load_clip(folder, "cpu")
    assert isinstance(model, Matching)
    return model


def pictures(model: Matching) -> Tensor:
    rgb = np.random.default_rng(5).integers(0, 255, (2, SIDE, SIDE, 3), np.uint8)
    return model.preprocess(rgb)


def theirs(name: str, model: Any, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) probability of a match and (N, R) map by autograd on what transformers attends to, at the block shown."""
    seen: list[Tensor] = []
    tower = model.text_encoder if name == "blip" else model.qformer
    attention = tower.encoder.layer[2].crossattention
    attention = attention.self if name == "blip" else attention.attention
    hook = attention.register_forward_hook(lambda module, given, found: seen.append(found[1]))
    ids = ids.expand(len(pixels), -1)
    given = {"pixel_values": pixels, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "blip":
        logits = model(**given).itm_score
    else:
        logits = model(**given, use_image_text_matching_head=True).logits_per_image
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), seen[0])
    maps = (seen[0] * gradient.clamp(min=0)).mean(1)[..., 1:].detach()
    return logits.softmax(1)[:, 1].detach(), (maps[:, 1:-1] if name == "blip" else maps).mean(1)


@pytest.mark.parametrize("name", RETRIEVAL)
def test_answers_and_maps_are_those_of_transformers(name, published, folders):
    ours, model = loaded(folders[name]), published[name]
    pixels = pictures(ours)
    answers = []
    for text in TEXTS:
        (asked,) = ours.ask([text], [])
        maps, presence = ours.attend(ours.regions(pixels), ours.encode_text([text])[0], (asked,))
        ids = ours._begun(asked) if isinstance(ours, BLIP) else asked
        answer, shown = theirs(name, model, pixels, ids)
        assert presence is not None
        torch.testing.assert_close(presence, answer, atol=CLOSE, rtol=0)
        assert shown.max() > 0
        torch.testing.assert_close(maps / maps.max(), shown / shown.max(), atol=CLOSE, rtol=0)
        answers.append(answer)
    assert (answers[0] - answers[1]).abs().min() > 100 * CLOSE, "texts are told apart"
    assert (answers[0][0] - answers[0][1]).abs() > 100 * CLOSE, "pictures are told apart"


@torch.no_grad()
def test_features_of_blip_are_those_of_transformers(published, folders):
    ours, model = loaded(folders["blip"]), published["blip"]
    assert isinstance(ours, BLIP)
    pixels = pictures(ours)
    seen = model.vision_model(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(ours.regions(pixels), seen, atol=CLOSE, rtol=0)
    (ids,) = ours.ask([TEXTS[0]], [])
    read = model.text_encoder(input_ids=ours._begun(ids)).last_hidden_state[:, 0]
    torch.testing.assert_close(ours.encode_text([TEXTS[0]]), read, atol=CLOSE, rtol=0)


@torch.no_grad()
def test_features_of_blip_2_are_those_of_transformers(published, folders):
    ours, model = loaded(folders["blip-2"]), published["blip-2"]
    assert isinstance(ours, BLIP2)
    pixels = pictures(ours)
    (ids,) = ours.ask([TEXTS[0]], [])
    pair = ids.expand(2, -1)
    found = model(pixel_values=pixels, input_ids=pair, attention_mask=torch.ones_like(pair))
    regions = ours.regions(pixels)
    seen = found.vision_model_output.last_hidden_state
    torch.testing.assert_close(ours.queries.norm(regions), seen, atol=CLOSE, rtol=0)
    image, text = F.normalize(ours.queries.of_image(regions), dim=2), F.normalize(ours.encode_text([TEXTS[0]]), dim=1)
    torch.testing.assert_close(image, found.image_embeds, atol=CLOSE, rtol=0)
    torch.testing.assert_close(text, found.text_embeds[:1], atol=CLOSE, rtol=0)


@pytest.mark.parametrize("name", RETRIEVAL)
def test_published_sizes_fit(name, tmp_path):
    """Without storage: the larger has a thousand million weights."""
    with torch.device("meta"):
        model = published_size(name)
    model.config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    checkpoint = Checkpoint(tmp_path / "model.safetensors", model.state_dict())
    ours = {"blip": load_blip, "blip-2": load_blip2}[name](checkpoint, torch.device("meta"))
    assert ours.image_size == {"blip": 384, "blip-2": 224}[name]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", RETRIEVAL)
def test_every_form_of_a_folder_is_imported_and_gives_the_same(name, form, published, folders, tmp_path, model_store):
    folder = write_folder(tmp_path / "snapshot", published[name], form)
    assert import_model(folder, Store()).name == name
    Store().verify(name)
    stored, given = loaded(Path(name)), loaded(folder)
    first = loaded(folders[name])
    assert (stored.mean, stored.std) == (given.mean, given.std) == (tuple(MEAN), tuple(STD))
    pixels = pictures(stored)
    assert torch.equal(stored.encode_text(TEXTS), first.encode_text(TEXTS))
    assert torch.equal(stored.regions(pixels), first.regions(pixels))
    assert (
        stored.checksum
        == given.checksum
        == sha256(*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.bin")))
    )
    export_model(name, Store(), tmp_path / "packed.zip")
    assert import_model(tmp_path / "packed.zip", Store()).name == name


def test_a_part_that_has_changed_is_seen(folders, model_store):
    import_model(folders["blip"], Store())
    part = next(Store().folder("blip").glob("model-00002-of-*.safetensors"))
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    with pytest.raises(ModelError, match=r"'.*model-00002-of-.*' has changed; import it again\.$"):
        Store().verify("blip")


def test_pictures_are_prepared_as_by_transformers(folders):
    from transformers import BlipImageProcessor

    model = loaded(folders["blip"])
    rgb = np.random.default_rng(2).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    prepared = BlipImageProcessor.from_pretrained(folders["blip"])(Image.fromarray(rgb), return_tensors="pt")
    torch.testing.assert_close(model.preprocess(rgb[None]), prepared["pixel_values"], atol=CLOSE, rtol=0)


def test_without_a_file_on_pictures_colours_are_as_published(folder):
    (folder / "preprocessor_config.json").unlink()
    assert loaded(folder).mean == (0.48145466, 0.4578275, 0.40821073)


def test_what_a_configuration_leaves_out_is_as_in_transformers(published, folder):
    """Its text tower has 8 heads then, and its norms are of 1e-5 and 1e-12."""
    config = json.loads((folder / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        del config[part]["layer_norm_eps"]
    del config["text_config"]["num_attention_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    ours = loaded(folder)
    model = RETRIEVAL["blip"].from_pretrained(folder, attn_implementation="eager").eval()
    pixels = pictures(ours)
    (asked,) = ours.ask([TEXTS[0]], [])
    _, presence = ours.attend(ours.regions(pixels), torch.empty(0), (asked,))
    answer, _ = theirs("blip", model, pixels, ours._begun(asked) if isinstance(ours, BLIP) else asked)
    assert presence is not None
    torch.testing.assert_close(presence, answer, atol=CLOSE, rtol=0)


def test_the_same_weights_twice_are_those_that_cannot_hold_code(published, tmp_path):
    folder = write_folder(tmp_path / "twice", published["blip"])
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    assert loaded(folder).checksum == sha256(folder / "model.safetensors")


def test_a_checkpoint_of_lavis_beside_files_of_the_hub_is_read_as_before(tmp_path, folders):
    lavis = write_regional(tmp_path / "lavis", "blip")
    before = loaded(lavis).encode_text(TEXTS)
    shutil.copy(folders["blip"] / "config.json", lavis)
    assert torch.equal(loaded(lavis).encode_text(TEXTS), before)


def refused(folder: Path, said: str, imported: bool = True) -> None:
    """By loading and by importing, in one sentence; the store has nothing of it."""
    attempts = [lambda: load_clip(folder, "cpu")] + ([lambda: import_model(folder, Store())] if imported else [])
    for attempt in attempts:
        with pytest.raises(ModelError, match=said) as caught:
            attempt()
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert not re.search(r"\. [A-Z]", sentence), "one sentence"
    store = Store().folders[0]
    assert not store.exists() or not [file for file in store.rglob("*") if not file.name.startswith(".lock")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name, kinds in OTHERS.items() for kind in kinds],
    ids=lambda each: str(each)[-45:],
)
@pytest.mark.parametrize("form", FORMS[:2])
def test_without_a_head_for_matching_the_checkpoint_that_is_needed_is_named(name, kind, form, tmp_path, model_store):
    folder = write_folder(tmp_path / "captions", genuine(name, kind), form)
    if form.endswith(".json"):  # the index is enough to tell
        next(folder.glob("model-00001*")).write_bytes(b"")
    needed = {"blip": "Salesforce/blip-itm-base-coco", "blip-2": "Salesforce/blip2-itm-vit-g"}[name]
    refused(folder, rf"has no head that says whether a text matches a picture \(itm_head\): take .*{needed}")


def test_weights_cut_short(folder, published, tmp_path, model_store):
    part = next(folder.glob("model-00001-of-*"))
    part.write_bytes(part.read_bytes()[:-100])
    refused(folder, rf"{part.name}' is damaged or cut short: fetch the file again")
    for form in FORMS[::2]:
        whole = write_folder(tmp_path / form, published["blip"], form)
        content = (whole / form).read_bytes()
        (whole / form).write_bytes(content[: len(content) // 2])
        refused(whole, rf"{form}' is damaged")


def test_an_index_without_a_part(folder, model_store):
    part = next(folder.glob("model-00002-of-*"))
    part.unlink()
    refused(folder, rf"lacks {part.name}, which model\.safetensors\.index\.json lists: fetch it again")


def test_a_part_without_its_index(folder, tmp_path, model_store):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(next(folder.glob("model-00002-of-*")), alone)
    refused(alone, r"is one of several parts: put the others beside it, and the index")


@pytest.mark.parametrize("listed", [{}, [], None, {"a": 3}, {"a": "../model.safetensors"}, {"a": "..\\b"}, {"a": ""}])
def test_an_index_of_something_else(listed, folder, model_store):
    (folder / FORMS[1]).write_text(json.dumps({"weight_map": listed}))
    refused(folder, r"is no list of tensors and their files: copy the file again")


def test_a_damaged_index(folder, model_store):
    (folder / FORMS[1]).write_text("{")
    refused(folder, r"index\.json' is missing or damaged: copy the file again")


def test_parts_that_were_mixed_up(folder, model_store):
    first, second = (next(folder.glob(f"model-0000{number}-of-*")) for number in (1, 2))
    shutil.copy(second, first)
    refused(folder, rf"{first.name}' is not the part that {FORMS[1]} lists \(no '.*'\): fetch both again")


def change(folder: Path, part: str, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (config[part] if part else config).update(values)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("", "model_type", "blip-2"),
        ("", "text_config", None),
        ("vision_config", "hidden_size", 1024),
        ("vision_config", "image_size", 384),
        ("vision_config", "num_attention_heads", 7),
        ("vision_config", "hidden_act", "quick_gelu"),
        ("vision_config", "layer_norm_eps", "small"),
        ("text_config", "vocab_size", 30524),
        ("text_config", "num_attention_heads", 0),
    ],
)
def test_a_configuration_of_another_model(part, key, value, folder, model_store):
    change(folder, part, **{key: value})
    refused(
        folder, rf"config\.json' does not describe the weights beside it \(.*{key}\S*.*\): copy both from one model"
    )


def test_no_configuration(folder, model_store):
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"beside them is no config\.json: put that into their folder"):
        import_model(folder, Store())
    refused(folder, r"config\.json' is missing or damaged: copy the file again", imported=False)


def test_no_tokenizer(folder, model_store):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json or vocab\.txt"):
        import_model(folder, Store())
    with pytest.raises(ModelError, match=r"has no tokenizer"):
        load_clip(folder, "cpu").encode_text(["lung"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"size": {"height": 224, "width": 224}}, r"is not for pictures of 64 x 64 pixels"),
        ({"image_mean": [0.5]}, r"has no image_mean and image_std of three colours"),
        ({"image_std": [0.5, 0.5, 0]}, r"has no image_mean and image_std of three colours"),
        ({"image_std": [0.5, 0.5, "a"]}, r"has no image_mean and image_std of three colours"),
        ({"image_processor": 3}, r"is not for pictures"),
    ],
)
def test_preparation_of_pictures_of_another_model(content, said, folder, model_store):
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    refused(folder, said)


def test_weights_of_another_model(folder, tmp_path, model_store):
    for part in folder.glob("model*"):
        part.unlink()
    save_file({"weight": torch.ones(2)}, folder / "model.safetensors")
    refused(folder, r"tensors are those of another program|no image-text model that is known by its tensors")


def test_a_tensor_that_is_missing_is_named(published, tmp_path):
    folder = write_folder(tmp_path / "model", published["blip-2"])
    state = load_file(folder / "model.safetensors")
    del state["qformer.encoder.layer.1.output_query.dense.bias"]
    save_file(state, folder / "model.safetensors")
    refused(folder, r"\(no 'encoder\.layer\.1\.output_query\.dense\.bias'\)", imported=False)
