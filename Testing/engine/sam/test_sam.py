"""Segmenters: LiteMedSAM on real pictures, SAM against its own predictor, checkpoints, voting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nilearn.datasets import load_mni152_brain_mask, load_mni152_template
from scipy.ndimage import distance_transform_edt
from segment_anything import SamPredictor, build_sam_vit_b

from MedCLIPSAMLib.engine.errors import InputError, ModelError
from MedCLIPSAMLib.engine.files.checksum import sha256
from MedCLIPSAMLib.engine.sam.base import ImageEmbeddings, PromptableSegmenter
from MedCLIPSAMLib.engine.sam.box_trained import BoxTrainedNetwork
from MedCLIPSAMLib.engine.sam.lite_medsam import LiteMedSamInput, weights_file
from MedCLIPSAMLib.engine.sam.network import SamNetwork
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.sam.segment_anything_model import MedSamInput
from MedCLIPSAMLib.engine.sam.voting import VOTING, check_voting, combine
from MedCLIPSAMLib.engine.volume import Window

from ...samples import abdomen_organs, abdomen_slice

BOX = np.array([[10.0, 10, 50, 50]])
POINT, LABEL = np.array([[[20.0, 20]]]), np.array([[1]])


def one(*points: np.ndarray, labels: list[int]) -> dict[str, np.ndarray]:
    """Points of one prompt."""
    return {"points": np.array(points)[None], "point_labels": np.array([labels])}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def box_of(mask: np.ndarray) -> list[float]:
    """Outer edges, with integers at pixel centres."""
    y, x = np.nonzero(mask)
    return [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]


def middle_of(mask: np.ndarray) -> np.ndarray:
    """x, y of the pixel farthest from the edge."""
    y, x = np.unravel_index(distance_transform_edt(mask).argmax(), mask.shape)
    return np.array([x, y], float)


@pytest.fixture(scope="module")
def abdomen() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """An axial CT slice, (1, 101, 122, 3) uint8, and masks of organs on it."""
    grey = Window(-160, 240).to_uint8(abdomen_slice())
    return np.repeat(grey[None, ..., None], 3, axis=3), abdomen_organs()


@pytest.fixture(scope="module")
def lite() -> PromptableSegmenter:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.socket.connect", lambda *_: pytest.fail("loading went to the network"))
        return load_segmenter("lite-medsam", "cpu")


@pytest.fixture(scope="module")
def embedded(lite: PromptableSegmenter, abdomen: tuple[np.ndarray, dict[str, np.ndarray]]) -> ImageEmbeddings:
    return lite.embed(abdomen[0])


def test_lite_medsam_finds_organs_from_their_boxes(lite, abdomen, embedded):
    organs = abdomen[1]
    found = lite.decode(embedded, boxes=np.array([box_of(mask) for mask in organs.values()]))
    assert found.masks.shape == (len(organs), 1, 101, 122)
    assert found.masks.dtype == found.scores.dtype == np.float32
    scores = {name: dice(made[0] > 0.5, mask) for made, (name, mask) in zip(found.masks, organs.items(), strict=True)}
    assert min(scores.values()) > 0.8, scores
    assert np.mean(list(scores.values())) > 0.9, scores
    assert ((found.scores > 0.7) & (found.scores <= 1)).all()


def test_lite_medsam_finds_organs_on_an_mr(lite):
    picture, organs = abdomen_slice("MR"), abdomen_organs("MR")
    grey = Window(0, 720).to_uint8(picture)
    boxes = np.array([box_of(mask) for mask in organs.values()])
    found = lite.decode(lite.embed(np.repeat(grey[None, ..., None], 3, axis=3)), boxes=boxes).masks[:, 0] > 0.5
    assert min(dice(made, mask) for made, mask in zip(found, organs.values(), strict=True)) > 0.9


def test_one_of_several_masks_is_the_brain(lite):
    """The MNI152 T1 of nilearn; the single mask of a box stops at the white matter."""
    t1 = np.asarray(load_mni152_template(2).dataobj)[:, ::-1, 45].T
    brain = np.asarray(load_mni152_brain_mask(2).dataobj)[:, ::-1, 45].T > 0
    picture = np.repeat(np.rint(255 * t1 / t1.max()).astype(np.uint8)[..., None], 3, axis=2)
    found = lite.decode(lite.embed(picture[None]), boxes=np.array([box_of(brain)]), multimask=True)
    assert found.masks.shape == (1, 3, *brain.shape)
    assert max(dice(mask > 0.5, brain) for mask in found.masks[0]) > 0.85


def test_positions_are_in_pixels_of_the_picture_whatever_its_size(lite, abdomen):
    picture, organs = abdomen
    large = lite.embed(picture.repeat(3, axis=1).repeat(3, axis=2))
    box = (np.array([box_of(organs["spleen"])]) + 0.5) * 3 - 0.5
    assert dice(lite.decode(large, boxes=box).masks[0, 0, 1::3, 1::3] > 0.5, organs["spleen"]) > 0.9


@pytest.mark.parametrize("name", ["liver", "spleen", "left kidney", "right kidney", "aorta"])
def test_one_click_finds_an_organ(lite, abdomen, embedded, name):
    organ = abdomen[1][name]
    found = lite.decode(embedded, **one(middle_of(organ), labels=[1]))
    assert dice(found.masks[0, 0] > 0.5, organ) > 0.85


def test_a_click_on_a_right_mask_changes_nothing(lite, abdomen, embedded):
    spleen, liver = abdomen[1]["spleen"], abdomen[1]["liver"]
    boxes = np.array([box_of(spleen)])
    right = lite.decode(embedded, boxes).masks
    clicks = one(middle_of(spleen), middle_of(liver), np.zeros(2), labels=[1, 0, -1])
    np.testing.assert_array_equal(lite.decode(embedded, boxes, **clicks).masks, right)


def test_clicks_in_a_box_around_two_organs_choose_one(lite, abdomen, embedded):
    kidney, liver = abdomen[1]["right kidney"], abdomen[1]["liver"]
    boxes = np.array([box_of(kidney | liver)])
    assert dice(lite.decode(embedded, boxes).masks[0, 0] > 0.5, liver) > 0.85
    for clicks in (
        one(middle_of(kidney), labels=[1]),
        one(middle_of(kidney), middle_of(liver), labels=[1, 0]),
    ):
        assert dice(lite.decode(embedded, boxes, **clicks).masks[0, 0] > 0.5, kidney) > 0.85


def test_a_negative_click_cuts_a_leak_off(lite, abdomen, embedded):
    spleen, kidney = abdomen[1]["spleen"], abdomen[1]["left kidney"]
    boxes = np.array([box_of(spleen | kidney)])
    leaked = lite.decode(embedded, boxes).masks[0, 0] > 0.5
    cut = lite.decode(embedded, boxes, **one(middle_of(kidney), labels=[0])).masks[0, 0] > 0.5
    assert dice(leaked, kidney) > 0.3
    assert dice(cut, kidney) < 0.05
    assert dice(cut, spleen) > dice(leaked, spleen) + 0.1


def test_a_positive_click_outside_widens_the_box(lite, abdomen, embedded):
    liver = abdomen[1]["liver"]
    x0, y0, x1, y1 = box_of(liver)
    y, x = np.argwhere(liver)[-5]
    half = np.array([[x0, y0, x1, y0 + (y1 - y0) / 2]])
    narrow, wide = (
        lite.decode(embedded, half, **clicks).masks[0, 0] > 0.5
        for clicks in ({}, one(np.array([x, y], float), labels=[1]))
    )
    assert dice(wide, liver) > dice(narrow, liver) + 0.1


def test_a_negative_click_alone_is_refused(lite, embedded):
    with pytest.raises(InputError, match="off the structure"):
        lite.decode(embedded, **one(np.array([50.0, 50]), labels=[0]))


def test_pictures_and_prompts_in_one_call_equal_one_by_one(lite, abdomen, embedded):
    both = lite.embed(np.concatenate([abdomen[0][:, ::-1], abdomen[0]]))
    assert len(both) == 2
    torch.testing.assert_close(both.slice(1).features, embedded.features)
    boxes = np.array([[20, 20, 80, 90], [30, 40, 60, 80], [10, 10, 50, 60]], float)
    points = np.array([[[50, 60], [30, 30]], [[45, 60], [0, 0]], [[30, 30], [0, 0]]], float)
    labels = np.array([[1, 0], [1, -1], [0, -1]])
    together = lite.decode(embedded, boxes, points, labels, multimask=True)
    assert together.masks.shape == (3, 3, 101, 122)
    assert together.scores.shape == (3, 3)
    for n in range(3):
        alone = lite.decode(embedded, boxes[n : n + 1], points[n : n + 1], labels[n : n + 1], multimask=True)
        np.testing.assert_allclose(alone.masks[0], together.masks[n], atol=1e-4)
        np.testing.assert_allclose(alone.scores[0], together.scores[n], atol=1e-4)


def test_embedding_is_reused_and_a_slice_of_it_keeps_no_more_memory(lite, embedded, monkeypatch):
    two = ImageEmbeddings(embedded.features.repeat(2, 1, 1, 1), embedded.shape)
    one = two.slice(1)
    assert one.features.untyped_storage().nbytes() == two.features.nbytes // 2
    monkeypatch.setattr(lite._network.image_encoder, "forward", lambda *_: pytest.fail("embedded again"))
    first, second = (lite.decode(one, boxes=BOX).masks for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_fewer_prompts_at_once_where_memory_runs_out(lite, embedded, monkeypatch):
    boxes = np.arange(5)[:, None] + BOX
    enough = lite.decode(embedded, boxes=boxes)
    decoding, batches = lite._decoding, []

    def small(features, sparse, dense, multimask):
        batches.append(len(sparse))
        if batches[-1] > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return decoding(features, sparse, dense, multimask)

    monkeypatch.setattr(lite, "_decoding", small)
    limit = 2
    np.testing.assert_allclose(lite.decode(embedded, boxes=boxes).masks, enough.masks, atol=1e-4)
    assert batches == [5, 5, 4, 2, 2, 1]  # 16, 8, 4 and 2 at once
    limit = 0
    with pytest.raises(InputError, match="does not fit into the free memory"):
        lite.decode(embedded, boxes=boxes)


@pytest.mark.parametrize(
    "prompts",
    [
        {},
        {"boxes": BOX[0]},
        {"boxes": BOX[:0]},
        {"boxes": BOX[:, [2, 1, 0, 3]]},
        {"boxes": BOX * np.nan},
        {"points": POINT},
        {"points": POINT[0], "point_labels": LABEL},
        {"point_labels": LABEL},
        {"points": POINT, "point_labels": LABEL[:, :0]},
        {"boxes": BOX.repeat(2, axis=0), "points": POINT, "point_labels": LABEL},
    ],
)
def test_prompts_that_are_none_are_refused(lite, embedded, prompts):
    with pytest.raises(InputError):
        lite.decode(embedded, **prompts)


def test_pictures_of_another_kind_are_refused(lite, embedded):
    for pictures in (np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8, 3)), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8"):
            lite.embed(pictures)
    with pytest.raises(InputError, match="one picture"):
        lite.decode(ImageEmbeddings(embedded.features.repeat(2, 1, 1, 1), embedded.shape), boxes=BOX)


def test_lite_input_keeps_proportions_and_pads():
    prepare = LiteMedSamInput()
    picture = np.full((1, 40, 80, 3), 50, np.uint8)
    picture[:, :, 40:] = 150
    made = prepare(picture)
    assert made.shape == (1, 3, 256, 256)
    assert prepare.content((40, 80)) == (128, 256)
    assert (made[:, :, 128:] == 0).all()
    assert made[0, 0, 64, 10] == 0
    assert made[0, 0, 64, 250] == 1
    assert (prepare(np.full((1, 9, 9, 3), 7, np.uint8)) == 0).all()


def test_medsam_input_fills_the_square():
    prepare = MedSamInput()
    picture = np.full((1, 10, 30, 3), 50, np.uint8)
    picture[:, 5:] = 150
    made = prepare(picture)
    assert made.shape == (1, 3, 1024, 1024)
    assert prepare.content((10, 30)) == (1024, 1024)
    assert made[0, 0, 10, 500] < 0.1 < 0.9 < made[0, 0, 1013, 500]


@pytest.fixture(scope="module")
def sam_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT-B checkpoint of random weights, as SAM's and MedSAM's are laid out."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("sam") / "sam_vit_b.pth"
    torch.save(build_sam_vit_b().state_dict(), file)
    return file


def test_sam_equals_the_published_predictor(sam_file, monkeypatch):
    sam: Any = load_segmenter(sam_file, "cpu")
    assert type(sam) is SamNetwork
    assert (sam.name, sam.image_size, sam.checksum) == ("sam-vit-b", 1024, sha256(sam_file))
    picture = np.random.default_rng(0).integers(0, 256, (1024, 700, 3), np.uint8)
    embedding = sam.embed(picture[None])
    predictor = SamPredictor(build_sam_vit_b(sam_file))
    seen = []  # the encoder is the same and slow: what it is given decides
    monkeypatch.setattr(
        predictor.model.image_encoder, "forward", lambda pixels: seen.append(pixels) or embedding.features
    )
    predictor.set_image(picture)
    torch.testing.assert_close(sam._prepare(picture[None]), seen[0])
    box, points, labels = BOX[0] * 8, POINT[0] * 8, LABEL[0]
    for given in ({"boxes": box}, {"points": points}, {"boxes": box, "points": points}):
        if "points" in given:
            given["point_labels"] = labels
        expected, scores, _ = predictor.predict(
            point_coords=given.get("points"),
            point_labels=given.get("point_labels"),
            box=given.get("boxes"),
            multimask_output=True,
            return_logits=True,
        )
        made = sam.decode(embedding, **{name: value[None] for name, value in given.items()}, multimask=True)
        np.testing.assert_allclose(made.masks[0], 1 / (1 + np.exp(-expected)), atol=1e-5)
        np.testing.assert_allclose(made.scores[0], scores, atol=1e-5)


def test_a_vit_b_is_medsam_by_name_or_file_name(sam_file):
    named = sam_file.with_name("medsam_vit_b.pth")
    named.hardlink_to(sam_file)
    for given in (named, f"medsam-vit-b:{sam_file}"):
        medsam = load_segmenter(given, "cpu")
        assert medsam.name == "medsam-vit-b"
        assert type(medsam) is BoxTrainedNetwork
    assert load_segmenter(f"sam-vit-b:{named}", "cpu").name == "sam-vit-b"


def test_a_fine_tuned_lite_medsam_loads_from_its_file(tmp_path, lite):
    state = torch.load(weights_file(), weights_only=True)
    torch.save({"model": state, "epoch": 3, "loss": 0.1}, tmp_path / "latest.pt")
    tuned = load_segmenter(tmp_path / "latest.pt", "cpu")
    assert tuned.name == lite.name == "lite-medsam"
    assert lite.checksum == sha256(weights_file()) != tuned.checksum


class Code:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def bad_files(folder: Path) -> dict[str, Path]:
    files = {kind: folder / f"{kind}.pth" for kind in ("cut", "code", "other", "hollow", "width", "text")}
    weight = torch.zeros(1, 64, 64, 768)
    torch.save({"image_encoder.pos_embed": weight}, files["hollow"])
    files["cut"].write_bytes(files["hollow"].read_bytes()[:100_000])
    torch.save({"model": Code()}, files["code"])
    torch.save({"visual.proj": weight}, files["other"])
    torch.save({"image_encoder.pos_embed": weight[..., :192]}, files["width"])
    files["text"].write_text("no checkpoint")
    return files


@pytest.mark.parametrize("kind", ["cut", "code", "other", "hollow", "width", "text"])
def test_bad_checkpoints_are_refused_by_name(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    file = bad_files(tmp_path)[kind]
    for name in (str(file), f"sam-vit-b:{file}"):
        with pytest.raises(ModelError, match=f"{kind}.pth") as error:
            load_segmenter(name, "cpu")
        assert "\n" not in str(error.value)
    assert not Path("harm").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam-vit-z", "no segmenter or checkpoint file 'sam-vit-z'"),
        ("/nowhere/sam.pth", "/nowhere/sam.pth"),
        ("sam-vit-b:/nowhere/sam.pth", "/nowhere/sam.pth"),
        ("sam-vit-h", "SAM ViT-H is not installed: download or import it"),
        (f"sam-vit-b:{weights_file()}", "is a checkpoint of lite-medsam, not of sam-vit-b"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(ModelError, match=message):
        load_segmenter(name, "cpu")


def square(x: int, value: float = 1.0) -> np.ndarray:
    """A 10 x 10 square from column x on."""
    mask = np.zeros((30, 40), np.float32)
    mask[10:20, x : x + 10] = value
    return mask


def test_voting_on_overlapping_squares():
    masks, scores = np.stack([square(10), square(11), square(20)]), np.array([0.2, 0.9, 0.1])
    np.testing.assert_array_equal(combine(masks, scores, "best"), square(11) > 0)
    np.testing.assert_array_equal(
        combine(masks, scores, "average"), (square(10) > 0) & (square(11) > 0) | (square(11) > 0) & (square(20) > 0)
    )
    np.testing.assert_array_equal(combine(masks, scores, "weighted"), square(11) > 0)
    assert combine(masks, scores, "staple").dtype == bool


def test_staple_outvotes_the_proposal_that_disagrees():
    masks = np.stack([square(10), square(10), square(11), square(28)])
    np.testing.assert_array_equal(combine(masks, np.ones(4), "staple"), square(10) > 0)


@pytest.mark.parametrize("how", VOTING)
def test_voting_of_equal_masks_is_that_mask(how):
    for mask in (square(5), np.zeros((30, 40), np.float32)):
        np.testing.assert_array_equal(combine(np.stack([mask] * 3), np.zeros(3), how), mask > 0.5)


def test_average_weighs_probabilities_not_votes():
    masks = np.stack([square(10, 1.0), square(10, 0.45), square(10, 0.45)])
    assert combine(masks, np.ones(3), "average").sum() == 100
    assert combine(masks, np.array([0.0, 1, 1]), "weighted").sum() == 0


def test_unknown_voting_is_refused():
    with pytest.raises(InputError, match="median"):
        check_voting("median")
