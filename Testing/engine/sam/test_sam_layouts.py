"""SAM and MedSAM as folders of the hub: the same network as from segment-anything's file, under the right name."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import sam_model_registry
from segment_anything.build_sam import _build_sam
from torch import Tensor

from MedCLIPSAMLib.engine.errors import ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.models.importing import export_model, import_model
from MedCLIPSAMLib.engine.models.recognise import models_of
from MedCLIPSAMLib.engine.models.store import Store
from MedCLIPSAMLib.engine.sam.box_trained import BoxTrainedNetwork
from MedCLIPSAMLib.engine.sam.layouts import hub_name
from MedCLIPSAMLib.engine.sam.network import SamNetwork
from MedCLIPSAMLib.engine.sam.registry import load_segmenter

POSITIONS = "shared_image_embedding.positional_embedding"
POSITIONS_AGAIN = "prompt_encoder.shared_embedding.positional_embedding"

# Written down from the state_dict of transformers' SamModel: parts of the network in segment-anything's layout, and
# in the hub's. Those that are called the same are left out.
PARTS = {
    "image_encoder.patch_embed.proj": "vision_encoder.patch_embed.projection",
    "image_encoder.neck.0": "vision_encoder.neck.conv1",
    "image_encoder.neck.1": "vision_encoder.neck.layer_norm1",
    "image_encoder.neck.2": "vision_encoder.neck.conv2",
    "image_encoder.neck.3": "vision_encoder.neck.layer_norm2",
    "prompt_encoder.mask_downscaling.0": "prompt_encoder.mask_embed.conv1",
    "prompt_encoder.mask_downscaling.1": "prompt_encoder.mask_embed.layer_norm1",
    "prompt_encoder.mask_downscaling.3": "prompt_encoder.mask_embed.conv2",
    "prompt_encoder.mask_downscaling.4": "prompt_encoder.mask_embed.layer_norm2",
    "prompt_encoder.mask_downscaling.6": "prompt_encoder.mask_embed.conv3",
    "mask_decoder.transformer.norm_final_attn": "mask_decoder.transformer.layer_norm_final_attn",
    "mask_decoder.output_upscaling.0": "mask_decoder.upscale_conv1",
    "mask_decoder.output_upscaling.1": "mask_decoder.upscale_layer_norm",
    "mask_decoder.output_upscaling.3": "mask_decoder.upscale_conv2",
    "mask_decoder.iou_prediction_head.layers.0": "mask_decoder.iou_prediction_head.proj_in",
    "mask_decoder.iou_prediction_head.layers.1": "mask_decoder.iou_prediction_head.layers.0",
    "mask_decoder.iou_prediction_head.layers.2": "mask_decoder.iou_prediction_head.proj_out",
}
for n in range(32):
    for part in ("attn", "attn.proj", "attn.qkv", "mlp.lin1", "mlp.lin2"):
        PARTS[f"image_encoder.blocks.{n}.{part}"] = f"vision_encoder.layers.{n}.{part}"
    for norm in (1, 2):
        PARTS[f"image_encoder.blocks.{n}.norm{norm}"] = f"vision_encoder.layers.{n}.layer_norm{norm}"
for n in range(2):
    for norm in (1, 2, 3, 4):
        layer = f"mask_decoder.transformer.layers.{n}"
        PARTS[f"{layer}.norm{norm}"] = f"{layer}.layer_norm{norm}"
for n in range(4):
    PARTS[f"prompt_encoder.point_embeddings.{n}"] = f"prompt_encoder.point_embed.{n}"
    mlp = f"mask_decoder.output_hypernetworks_mlps.{n}"
    PARTS |= {f"{mlp}.layers.0": f"{mlp}.proj_in", f"{mlp}.layers.1": f"{mlp}.layers.0"}
    PARTS[f"{mlp}.layers.2"] = f"{mlp}.proj_out"
ALONE = {
    "image_encoder.pos_embed": "vision_encoder.pos_embed",
    "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": POSITIONS,
}


def expected_name(name: str) -> str:
    """What the hub's layout calls a tensor of segment-anything."""
    part, _, kind = name.rpartition(".")
    return ALONE.get(name) or f"{PARTS.get(part, part)}.{kind}"


@pytest.fixture(autouse=True)
def tiny_vit_b(monkeypatch):
    """SAM ViT-B with one block instead of twelve: what is told from its tensors is the same."""
    monkeypatch.setitem(sam_model_registry, "vit_b", partial(_build_sam, 768, 1, 12, []))


@pytest.fixture(scope="module")
def original() -> dict[str, Tensor]:
    """Random weights in segment-anything's layout, no two tensors alike, nor zero."""
    torch.manual_seed(0)
    state = _build_sam(768, 1, 12, []).state_dict()
    return {name: tensor + 0.02 * torch.randn_like(tensor) for name, tensor in state.items()}


@pytest.fixture(scope="module")
def hub(original) -> dict[str, Tensor]:
    """The same weights in the hub's layout."""
    return {expected_name(name): tensor for name, tensor in original.items()}


@pytest.fixture
def store(model_store) -> Store:
    return Store()


def write(folder: Path, hub: dict[str, Tensor]) -> Path:
    """A folder as the hub gives it."""
    folder.mkdir(parents=True)
    save_file(hub, folder / "model.safetensors")
    torch.save(hub | {POSITIONS_AGAIN: hub[POSITIONS]}, folder / "pytorch_model.bin")
    (folder / "config.json").write_text('{"model_type": "sam"}')
    return folder


def tensors(segmenter: Any) -> dict[str, Tensor]:
    return segmenter._network.state_dict()


def assert_equal_tensors(segmenter: Any, expected: dict[str, Tensor]) -> None:
    assert tensors(segmenter).keys() == expected.keys()
    for name, tensor in tensors(segmenter).items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(("size", "count"), [("vit_b", 314), ("vit_l", 482), ("vit_h", 594)])
def test_every_tensor_of_every_size_has_its_name(monkeypatch, size, count):
    monkeypatch.undo()
    with torch.device("meta"):
        names = sam_model_registry[size]().state_dict().keys()
    assert {name: hub_name(name) for name in names} == {name: expected_name(name) for name in names}
    assert len({hub_name(name) for name in names}) == count


@pytest.mark.parametrize(("name", "kind"), [("sam-vit-base", SamNetwork), ("medsam-vit-base", BoxTrainedNetwork)])
def test_a_hub_cache_gives_the_same_masks_as_the_original_file(tmp_path, store, original, hub, name, kind):
    cache = tmp_path / f"models--somebody--{name}"
    snapshot = write(cache / "snapshots" / "0123abcd", hub)
    entry = import_model(cache, store)
    assert entry.name == name.removesuffix("ase")
    assert store.weights_file(entry.name).name == f"{entry.name}.safetensors"
    store.verify(entry.name)
    loaded: Any = load_segmenter(entry.name, "cpu")
    assert type(loaded) is kind
    assert loaded.checksum == sha256(snapshot / "model.safetensors")
    assert_equal_tensors(loaded, original)

    torch.save(original, tmp_path / "vit_b.pth")
    expected = load_segmenter(f"{entry.name}:{tmp_path / 'vit_b.pth'}", "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), np.uint8)
    box = np.array([[10.0, 10, 50, 50]])
    made, wanted = (one.decode(one.embed(picture), boxes=box, multimask=True).masks for one in (loaded, expected))
    assert np.ptp(wanted) > 0.01
    np.testing.assert_array_equal(made, wanted)


def test_a_file_of_a_hub_folder_loads_by_itself(tmp_path, original, hub):
    folder = write(tmp_path / "models--facebook--sam-vit-base" / "snapshots" / "0123abcd", hub)
    for given, name in (
        (folder / "model.safetensors", "sam-vit-b"),
        (folder / "pytorch_model.bin", "sam-vit-b"),  # has the positions twice
        (f"medsam-vit-b:{folder / 'model.safetensors'}", "medsam-vit-b"),
    ):
        loaded = load_segmenter(given, "cpu")
        assert loaded.name == name
        assert_equal_tensors(loaded, original)
    other = {POSITIONS_AGAIN if name == POSITIONS else name: tensor for name, tensor in hub.items()}
    save_file(other, tmp_path / "other.safetensors")
    assert_equal_tensors(load_segmenter(f"sam-vit-b:{tmp_path / 'other.safetensors'}", "cpu"), original)


def test_what_cannot_be_told_is_asked(tmp_path, store, hub):
    folder = write(tmp_path / "stick", hub)
    asks = "may be sam-vit-b or medsam-vit-b, which have the same tensors: import it with --as NAME, load it as NAME:"
    with pytest.raises(ModelError, match=f"stick' {asks}"):
        import_model(folder, store)
    with pytest.raises(ModelError, match=f"model.safetensors' {asks}"):
        load_segmenter(folder / "model.safetensors", "cpu")
    for name in ("sam-vit-b", "medsam-vit-b"):
        assert import_model(folder, store, name).name == name
        store.verify(name)
        export_model(name, store, tmp_path / f"{name}-copy.zip")
        shutil.move(tmp_path / f"{name}-copy.zip", tmp_path / "carried.zip")
        assert import_model(tmp_path / "carried.zip", Store([tmp_path / "other"])).name == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("SAM_ViT_B/weights.safetensors", "sam-vit-b"),
        ("MedSAM/sam_vit_b.safetensors", "sam-vit-b"),  # the nearest counts
        ("sam-vit-base/medsam.safetensors", "medsam-vit-b"),
        ("wanglab-medsam-vit-base/model.safetensors", "medsam-vit-b"),
    ],
)
def test_names_tell_between_sam_and_medsam_in_both_layouts(tmp_path, store, original, hub, path, name):
    (tmp_path / path).parent.mkdir()
    for state in (hub, original):
        save_file(state, tmp_path / path)
        assert load_segmenter(tmp_path / path, "cpu").name == name
    save_file(hub, tmp_path / path)
    assert import_model(tmp_path / path, store).name == name


def test_without_a_name_segment_anythings_layout_is_medsam_whoever_asks(tmp_path, store, original):
    save_file(original, tmp_path / "tuned.safetensors")
    assert import_model(tmp_path / "tuned.safetensors", store).name == "medsam-vit-b"
    assert load_segmenter(tmp_path / "tuned.safetensors", "cpu").name == "medsam-vit-b"


def test_larger_sizes_are_known_by_their_width(tmp_path, store):
    for width, name in ((1024, "sam-vit-l"), (1280, "sam-vit-h")):
        assert models_of({"vision_encoder.pos_embed": torch.zeros(1, 64, 64, width)}) == (name,)
    assert models_of({"vision_encoder.pos_embed": torch.zeros(1, 64, 64, 384)}) == ()
    folder = tmp_path / "stick"
    folder.mkdir()
    torch.save({"vision_encoder.pos_embed": torch.zeros(1, 64, 64, 1280)}, folder / "pytorch_model.bin")
    assert import_model(folder, store).name == "sam-vit-h"
    assert store.weights_file("sam-vit-h").name == "sam-vit-h.bin"
    with pytest.raises(ModelError, match=r"looks like sam-vit-h, but tensors are missing.*and 590 more"):
        load_segmenter("sam-vit-h", "cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vision_encoder.neck.conv1.weight": None}, "(missing: vision_encoder.neck.conv1.weight)"),
        ({"mask_decoder.hf_token.weight": torch.zeros(1)}, "(unknown: mask_decoder.hf_token.weight)"),
        ({"vision_encoder.neck.conv1.weight": torch.zeros(3)}, "(of another shape: vision_encoder.neck.conv1.weight)"),
        ({POSITIONS: None}, f"(missing: {POSITIONS})"),
        ({POSITIONS_AGAIN: torch.zeros(2, 128)}, f"({POSITIONS} and {POSITIONS_AGAIN} are not equal)"),
        ({f"extra.{n}": torch.zeros(1) for n in range(5)}, "(unknown: extra.0, extra.1, extra.2 and 2 more)"),
        ({"extra": torch.zeros(1), "mask_decoder.iou_token.weight": None}, "iou_token.weight; unknown: extra)"),
    ],
)
def test_tensors_that_do_not_fit_are_named_as_in_the_file(tmp_path, hub, change, said):
    changed = {name: tensor for name, tensor in (hub | change).items() if tensor is not None}
    save_file(changed, tmp_path / "model.safetensors")
    with pytest.raises(ModelError) as error:
        load_segmenter(f"sam-vit-b:{tmp_path / 'model.safetensors'}", "cpu")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
