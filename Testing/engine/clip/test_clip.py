from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import list_clips, load_clip
from MedCLIPSAMLib.engine.clip.timm_tower import TimmTower
from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.published import PUBLISHED
from Testing.engine.biomedclip import BIOMEDCLIP, TINY, WORDS, random_state, write_hub, write_hugging_face

OPEN_CLIP = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture
def offline(monkeypatch) -> None:
    """Any attempt to open a socket fails the test."""

    def refuse(*_args, **_options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """The same small model in the hub's and in the Hugging Face layout."""
    root = tmp_path_factory.mktemp("tiny")
    state = random_state(TINY)
    return write_hub(root / "hub", TINY, state), write_hugging_face(root / "hf", TINY, state)


def load(folder: Path | str) -> DualEncoder:
    model = load_clip(folder, "cpu")
    assert isinstance(model, DualEncoder)
    return model


def pixels(count: int = 2, size: int = 224) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def assert_close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max() <= 1e-4 * other.abs().max()


@pytest.mark.usefixtures("offline")
def test_biomedclip_of_full_size_is_the_same_in_both_layouts_with_no_network(tmp_path: Path) -> None:
    state = random_state(BIOMEDCLIP)
    folders = [
        write_hub(tmp_path / "hub", BIOMEDCLIP, state),
        write_hugging_face(tmp_path / "hf", BIOMEDCLIP, state),
    ]
    del state
    features = []
    for folder in folders:
        model = load(folder)
        features.append((model.encode_image(pixels(1)), model.encode_text(["a liver", "the spleens of a CT"])))
        assert (model.block_count, model.token_width, model.grid) == (12, 768, 14)
        for path in folder.iterdir():  # most of a gigabyte, which pytest would keep
            path.unlink()
    (image, text), (other_image, other_text) = features
    assert image.shape == (1, 512)
    assert text.shape == (2, 512)
    assert_close(image, other_image)
    assert_close(text, other_text)
    assert not torch.allclose(text[0], text[1], atol=1e-3)


@pytest.mark.usefixtures("offline")
def test_safetensors_are_read_in_both_layouts(folders, tmp_path: Path) -> None:
    for folder, name in zip(folders, ("open_clip_pytorch_model", "pytorch_model"), strict=True):
        copy = tmp_path / folder.name
        copy.mkdir()
        (config,) = folder.glob("*config.json")
        (copy / config.name).write_bytes(config.read_bytes())
        state = torch.load(folder / f"{name}.bin")
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, copy / f"{name}.safetensors")
        assert_close(load(copy).encode_image(pixels(1)), load(folder).encode_image(pixels(1)))


def test_a_model_says_what_it_is(folders) -> None:
    model = load(folders[1])
    assert model.name == "hf"
    assert model.checksum == sha256(folders[1] / "pytorch_model.bin")
    assert (model.image_size, model.grid, model.token_width, model.block_count) == (224, 14, 192, 12)
    recommended = model.recommended
    assert (recommended.saliency, recommended.layer, recommended.beta) == ("m2ib", PUBLISHED.layer, PUBLISHED.beta)


def test_the_image_tower_can_be_split_after_any_block(folders) -> None:
    model = load(folders[0])
    whole = model.vision.head(model.vision.trunk(pixels()))  # type: ignore[attr-defined]
    for layer in range(model.block_count):
        tokens = model.tokens_after(pixels(), layer)
        assert tokens.shape == (2, 197, 192)
        assert_close(model.features_after(tokens, layer), whole)
    for layer in (-1, 12):
        with pytest.raises(InputError, match="choose a block from 0 to 11"):
            model.tokens_after(pixels(), layer)


@pytest.mark.parametrize("options", [{"qk_norm": True}, {"init_values": 0.3, "qkv_bias": False}])
def test_the_last_block_may_be_of_another_kind(options) -> None:
    torch.manual_seed(0)
    trunk = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=2, num_classes=0, **options)
    tower = TimmTower(trunk, torch.nn.Linear(24, 10)).eval()
    for layer in range(3):
        tokens = tower.tokens_after(pixels(2, 32), layer)
        assert_close(tower.features_after(tokens, layer), tower.head(trunk(pixels(2, 32))))


def test_weights_are_frozen_but_gradients_pass_to_the_tokens(folders) -> None:
    model = load(folders[0])
    tokens = model.tokens_after(pixels(1), 7)
    assert not tokens.requires_grad
    tokens.requires_grad_()
    model.features_after(tokens, 7).sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in model.vision.parameters())  # type: ignore[attr-defined]


def test_pictures_are_scaled_and_normalised(folders) -> None:
    model = load(folders[0])
    picture = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    expected = (picture / 255.0 - np.array(model.mean)) / np.array(model.std)
    assert np.abs(model.preprocess(picture).numpy() - expected.transpose(0, 3, 1, 2)).max() < 1e-5


def test_both_tokenizer_files_read_the_same_and_padding_changes_nothing(folders) -> None:
    hub, hugging_face = (load(folder) for folder in folders)
    texts = ["Liver", "the spleens of a liver, CT"]
    assert_close(hub.encode_text(texts), hugging_face.encode_text(texts))
    ids = torch.tensor([[2, WORDS.index("liver"), 3]])
    assert_close(hub.encode_text(texts)[:1], hub.encode_token_ids(ids))


def test_a_text_longer_than_the_model_is_cut(folders) -> None:
    model = load(folders[0])
    assert_close(model.encode_text(["liver " * 62]), model.encode_text(["liver " * 500]))


def test_a_folder_without_tokenizer_takes_token_ids_and_says_what_is_missing(folders, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (bare / name).write_bytes((folders[1] / name).read_bytes())
    model = load(bare)
    assert model.encode_token_ids(torch.tensor([[2, 5, 3]])).shape == (1, 64)
    with pytest.raises(ModelError, match=r"bare' has no tokenizer.*copy tokenizer.json or vocab.txt"):
        model.encode_text(["liver"])
    (bare / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"The tokenizer in .* is damaged"):
        model.encode_text(["liver"])


def damage_config(folder: Path) -> None:
    (next(folder.glob("*config.json"))).write_text("{")


def remove_weights(folder: Path) -> None:
    (next(folder.glob("*.bin"))).unlink()


def cut_weights(folder: Path) -> None:
    path = next(folder.glob("*.bin"))
    path.write_bytes(path.read_bytes()[:1000])


def take_a_tensor_out(folder: Path) -> None:
    path = next(folder.glob("*.bin"))
    state = torch.load(path)
    del state[next(name for name in state if "post_layernorm" in name or "trunk.norm" in name)]
    torch.save(state, path)


def put_a_tensor_in(folder: Path) -> None:
    path = next(folder.glob("*.bin"))
    torch.save(torch.load(path) | {"decoder.weight": torch.ones(2)}, path)


def use_another_model(folder: Path) -> None:
    torch.save(torch.nn.Linear(3, 3).state_dict(), next(folder.glob("*.bin")))


def shrink_a_tensor(folder: Path) -> None:
    path = next(folder.glob("*.bin"))
    state = torch.load(path)
    name = "visual_projection.weight" if "visual_projection.weight" in state else "visual.head.proj.weight"
    torch.save(state | {name: torch.ones(3, 192)}, path)


@pytest.mark.parametrize("layout", [0, 1], ids=["hub", "hugging face"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damage_config, "is missing or damaged"),
        (remove_weights, "has no weights"),
        (cut_weights, "damaged, cut short"),
        (take_a_tensor_out, "is not a BiomedCLIP as its folder describes it .no '"),
        (put_a_tensor_in, "no use for 'decoder.weight'"),
        (use_another_model, "is not a BiomedCLIP as its folder describes it"),
        (shrink_a_tensor, "'vision.head.weight' is of another size"),
    ],
)
def test_a_wrong_folder_is_one_sentence(folders, tmp_path: Path, layout: int, change, words: str) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for path in folders[layout].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    change(folder)
    with pytest.raises(ModelError, match=words) as caught:
        load_clip(folder, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("timm_model_name", "resnet18", "not a vision transformer read out at its class token"),
        ("timm_model_name", "no_such_model", "is not a BiomedCLIP as its folder describes it"),
        ("hf_pooler_type", "mean_pooler", "mean_pooler, not BiomedCLIP's class token"),
    ],
)
def test_another_architecture_in_the_hub_layout_is_refused(
    folders, tmp_path: Path, key: str, value: str, words: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "open_clip_pytorch_model.bin").symlink_to(folders[0] / "open_clip_pytorch_model.bin")
    config = json.loads((folders[0] / "open_clip_config.json").read_text("utf-8"))
    part = "vision_cfg" if key.startswith("timm") else "text_cfg"
    config["model_cfg"][part][key] = value
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match=words):
        load_clip(folder, "cpu")


def test_another_activation_in_the_hugging_face_layout_is_refused(folders, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").symlink_to(folders[1] / "pytorch_model.bin")
    config = json.loads((folders[1] / "config.json").read_text("utf-8"))
    config["vision_config"]["hidden_act"] = "quick_gelu"
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="uses gelu, quick_gelu"):
        load_clip(tmp_path, "cpu")


def write_open_clip(folder: Path, config: dict, **preprocess: list[float]) -> torch.nn.Module:
    """An open_clip folder with random weights; returns the model as open_clip makes it."""
    folder.mkdir()
    torch.manual_seed(0)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}), "utf-8"
    )
    model = open_clip.CLIP(**config).eval()
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    return model


@pytest.mark.usefixtures("offline")
def test_an_open_clip_folder_is_split_after_any_block(tmp_path: Path) -> None:
    original = write_open_clip(tmp_path / "clip", OPEN_CLIP, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.2])
    model = load(tmp_path / "clip")
    assert (model.name, model.grid, model.block_count, model.mean) == ("clip", 4, 3, (0.5, 0.4, 0.3))
    texts = ["the liver on a CT", "spleen"]
    with torch.no_grad():
        image = original.encode_image(pixels(2, 64))  # type: ignore[operator]
        text = original.encode_text(open_clip.tokenize(texts))  # type: ignore[operator]
    assert_close(model.encode_image(pixels(2, 64)), image)
    assert_close(model.encode_text(texts), text)
    for layer in range(3):
        assert_close(model.features_after(model.tokens_after(pixels(2, 64), layer), layer), image)


@pytest.mark.usefixtures("offline")
def test_open_clip_by_name_uses_weights_of_this_computer_or_none(tmp_path: Path, monkeypatch) -> None:
    original = write_open_clip(tmp_path / "clip", {key: OPEN_CLIP[key] for key in OPEN_CLIP if key != "quick_gelu"})
    (tmp_path / "small-vit.json").write_text(
        json.dumps({key: OPEN_CLIP[key] for key in OPEN_CLIP if key != "quick_gelu"}), "utf-8"
    )
    open_clip.add_model_config(tmp_path / "small-vit.json")
    tag = {"hf_hub": "someone/small-vit/", "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small-vit", {"here": tag, "elsewhere": {"hf_hub": "x/y/"}})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--someone--small-vit"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123")
    (repository / "snapshots" / "0123").mkdir(parents=True)
    cached = repository / "snapshots" / "0123" / "open_clip_pytorch_model.bin"
    cached.write_bytes((tmp_path / "clip" / "open_clip_pytorch_model.bin").read_bytes())

    assert "small-vit:here" in list_clips()
    assert "small-vit:elsewhere" not in list_clips()
    by_tag = load("small-vit:here")
    assert (by_tag.name, by_tag.mean, by_tag.checksum) == ("small-vit:here", (0.1, 0.2, 0.3), sha256(cached))
    by_file = load(f"small-vit:{tmp_path / 'clip' / 'open_clip_pytorch_model.bin'}")
    with torch.no_grad():
        image = original.encode_image(pixels(1, 64))  # type: ignore[operator]
    assert_close(by_file.encode_image(pixels(1, 64)), image)
    assert not torch.allclose(by_tag.encode_image(pixels(1, 64)), image)  # this tag has the other GELU
    for name, words in {
        "small-vit": "does not say which weights to use: give one, such as small-vit:here",
        "small-vit:missing": "does not say which weights to use",
        "small-vit:elsewhere": "are not on this computer",
        "ViT-B-16:openai": "are not on this computer",
        "no-such-model": "There is no CLIP named 'no-such-model'",
        "hf-hub:someone/small-vit": "There is no CLIP named",
        str(tmp_path / "nowhere"): "There is no CLIP named",
        str(cached): "is a file: give the folder",
        str(tmp_path): "holds no image-text model",
    }.items():
        with pytest.raises(ModelError, match=words):
            load_clip(name, "cpu")


@pytest.mark.parametrize(
    ("part", "options", "words"),
    [
        ("vision_cfg", {"layers": [1, 1, 1, 1], "head_width": 64}, "ModifiedResNet.* is not a vision transformer"),
        ("vision_cfg", {"pool_type": "avg"}, "not a vision transformer read out at its class token"),
        ("text_cfg", {"hf_tokenizer_name": "bert-base-uncased"}, "text tower of 'other' is not open_clip's own"),
    ],
)
def test_open_clip_models_that_cannot_be_used_are_refused(tmp_path: Path, part: str, options: dict, words: str) -> None:
    config = OPEN_CLIP | {part: OPEN_CLIP[part] | options}
    write_open_clip(tmp_path / "other", config)
    with pytest.raises(ModelError, match=words):
        load_clip(tmp_path / "other", "cpu")


def test_open_clip_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    write_open_clip(tmp_path / "clip", OPEN_CLIP)
    torch.save({"weight": torch.ones(3)}, tmp_path / "clip" / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelError, match="does not fit the CLIP 'clip'"):
        load_clip(tmp_path / "clip", "cpu")


def test_an_unknown_device_is_refused(folders) -> None:
    with pytest.raises(InputError, match="Device 'toaster' is not available"):
        load_clip(folders[0], "toaster")
