"""The training of the built-in model: what it draws, what it writes and what its losses ask for."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.quickstart.net import QuickStartConfig, TextTower
from MedCLIPSAMLib.engine.clip.quickstart.second_net import SecondConfig, SecondNet
from quickstart.closer.bank import FEATURES, Bank, features_file, fill
from quickstart.closer.train import Lessons, choose_cells
from quickstart.drawing.anatomy import add_effusion, add_lesion, move_aorta
from quickstart.drawing.draw import draw, fractions
from quickstart.drawing.people import kept, person_of
from quickstart.drawing.volumes import PLANES, TrainingVolume, finish, known_terms
from quickstart.language.covers import elsewhere, membership, settled
from quickstart.language.descriptions import DOES, describe, describe_elsewhere
from quickstart.language.findings import HELD_OUT as HELD_OUT_FINDINGS
from quickstart.language.findings import write_finding
from quickstart.language.labels import LABEL_INDEX, LABELS
from quickstart.language.learn import Texts
from quickstart.language.space import learn_space, write_corpus
from quickstart.language.terms import TERM_INDEX, TERMS
from quickstart.language.text import encode, train_tokenizer
from quickstart.language.tower import train_tower
from quickstart.language.wordings import HELD_OUT, slip, write_text, write_unseen
from quickstart.losses import bottleneck_noise, pooled_loss


@pytest.fixture(scope="module")
def trunk() -> TrainingVolume:
    """A trunk of ellipses in HU: body, liver, spine and aorta."""
    row, column = np.mgrid[-40:40, -50:50]
    image, labels = np.full((20, 80, 100), -1000, np.float32), np.zeros((20, 80, 100), np.uint8)
    labels[:] = LABEL_INDEX["air"]
    for name, density, centre, size in (
        ("soft", 40, (0, 0), (34, 45)),
        ("liver", 100, (-6, -20), (18, 18)),
        ("vertebra", 300, (18, 0), (9, 7)),
        ("aorta", 180, (4, 3), (4, 4)),
    ):
        inside = ((row - centre[0]) / size[0]) ** 2 + ((column - centre[1]) / size[1]) ** 2 < 1
        image[:, inside], labels[:, inside] = density, LABEL_INDEX[name]
    known = torch.ones(len(TERMS), dtype=torch.bool)
    return finish("trunk", image, labels, np.array([5.0, 3.5, 3.5]), "ct", ("ct", "abdomen"), known, 1.0, True)


def test_drawn_slices_are_labelled_everywhere_and_differ(trunk):
    random.seed(0)
    torch.manual_seed(0)
    samples = [draw(trunk, 64) for _ in range(12)]
    for sample in samples:
        assert sample.image.shape == sample.labels.shape == (64, 64)
        assert sample.image.dtype == torch.uint8
        shares = fractions(sample.labels, 16)
        assert shares.shape == (len(LABELS), 16, 16)
        assert torch.allclose(shares.sum(0), torch.ones(16, 16))
    assert len({sample.image.float().mean().item() for sample in samples}) == len(samples)
    assert any((sample.labels == LABEL_INDEX["liver"]).any() for sample in samples)


def test_something_small_is_asked_as_often_as_something_large():
    labels = torch.full((1, 256, 256), LABEL_INDEX["soft"])
    labels[:, :160], labels[:, 200:208, 40:60] = LABEL_INDEX["liver"], LABEL_INDEX["pancreas"]
    torch.manual_seed(0)
    chosen, stands_for = choose_cells(labels, torch.bincount(labels.flatten(), minlength=len(LABELS))[None], 400)
    seen = labels[0, ::2, ::2].flatten()[chosen[0]]
    liver, pancreas = ((seen == LABEL_INDEX[name]) for name in ("liver", "pancreas"))
    assert 150 < pancreas.sum() < 250  # half of the 400 with a name, and next to none of those anywhere
    assert 400 < liver.sum() < 500
    assert stands_for[0, pancreas].sum() == pytest.approx(4 * 10, rel=0.1)  # as many cells as it has
    assert stands_for[0, liver].sum() == pytest.approx(80 * 128, rel=0.1)


def test_slices_of_all_planes_lie_as_the_product_shows_them():
    """A trunk with a bright foot end, a bright back and a bright left side, seen along each plane."""
    image, labels = np.zeros((40, 40, 40), np.uint8), np.full((40, 40, 40), LABEL_INDEX["soft"], np.uint8)
    for axis, level in ((0, 60), (1, 90), (2, 90)):  # towards the feet, the back and the left
        ramp = np.linspace(0, level, 40).astype(np.uint8)
        image += (ramp[::-1] if axis == 0 else ramp).reshape([-1 if n == axis else 1 for n in range(3)])
    known = known_terms((), ("chest",))
    random.seed(0)
    torch.manual_seed(0)
    for plane in PLANES:
        volume = finish("cube", image, labels, np.ones(3), "mr", ("mr",), known, 1.0, False, planes=("axial", plane))
        volume.planes = (plane,) if plane == "axial" else (plane, plane)
        pictures = torch.stack([draw(volume, 32).image.float() for _ in range(24)]).mean(0)[6:26, 6:26]
        assert pictures[-8:].mean() > pictures[:8].mean(), plane  # down is to the back, or to the feet
        assert pictures[:, -8:].mean() > pictures[:, :8].mean(), plane  # right is to the left side, or to the back


def test_the_aorta_is_drawn_in_front_of_the_spine_and_left_of_it(trunk):
    random.seed(1)
    torch.manual_seed(1)
    image, labels = trunk.image[None, None, 10, :, 10:90].float(), trunk.labels[10, :, 10:90].long()
    before = (labels == LABEL_INDEX["aorta"]).nonzero().float().mean(0)
    places = []
    for _ in range(40):
        moved, found = move_aorta(image.clone(), labels.clone(), 3.5)
        aorta = found == LABEL_INDEX["aorta"]
        places.append((aorta.nonzero().float().mean(0) - before) * 3.5)
        assert abs(moved[0, 0][aorta].mean() - 180) < 40
        assert (found == LABEL_INDEX["vertebra"]).sum() > 0.8 * (labels == LABEL_INDEX["vertebra"]).sum()
    back, left = torch.stack(places).T
    assert left.min() < -10
    assert left.max() > 15
    assert back.max() > 15


def test_an_effusion_fills_the_back_of_one_lung_only():
    torch.manual_seed(0)
    labels = torch.full((64, 64), LABEL_INDEX["soft"])
    labels[10:50, 5:25], labels[10:50, 40:60] = LABEL_INDEX["lung_right"], LABEL_INDEX["lung_left"]
    image = torch.where(labels == LABEL_INDEX["soft"], 40.0, -800.0)[None, None]
    filled, found = add_effusion(image, labels, 15.0, 0.8)
    wet = (found == LABEL_INDEX["effusion"]).nonzero()
    assert len(wet) > 100
    assert wet[:, 0].max() == 49
    assert (wet[:, 1] < 25).all() or (wet[:, 1] >= 40).all()
    assert abs(filled[0, 0][found == LABEL_INDEX["effusion"]].median() - 15) < 1
    assert (filled[0, 0][found == LABEL_INDEX["lung_left"]].median()) == -800
    unchanged, same = add_effusion(torch.zeros(1, 1, 64, 64), torch.zeros(64, 64, dtype=torch.long), 15.0, 0.8)
    assert not unchanged.any()
    assert not same.any()


def test_wordings_kept_for_the_report_are_never_written():
    rng = random.Random(0)
    kept = {text.lower() for texts in HELD_OUT.values() for text in texts}
    written = {write_text(term, rng).lower() for term in TERMS for _ in range(600)}
    assert len(written) > 10_000
    assert not written & kept


def test_descriptions_say_something_about_each_organ():
    rng = random.Random(0)
    for name in DOES:
        assert name in TERM_INDEX
        assert len({describe(name, rng) for _ in range(200)}) > 30
    assert not {describe_elsewhere(rng) for _ in range(500)} & {describe(n, rng) for n in DOES for _ in range(500)}
    assert all(write_unseen(rng).strip() for _ in range(500))


def test_findings_are_never_texts_of_an_organ_nor_those_kept_for_the_report():
    rng = random.Random(0)
    findings = {write_finding(rng) for _ in range(20_000)}
    assert {"hepatic cyst", "renal hilum", "mitral valve", "tumour of the kidney"} <= findings
    assert not findings & set(HELD_OUT_FINDINGS)
    assert not findings & {text for term in TERMS for text in (*term.nouns, *term.phrases)}


def test_a_term_has_its_wordings_at_one_place_and_what_was_never_seen_lies_apart():
    """Sentences are stood in for by their letters, three at a time, which is all that a test needs of meaning."""
    texts, terms = write_corpus(12, 600, seed=0)
    assert len(set(texts)) == len(texts) == len(terms)
    assert set(terms.tolist()) == {-1, *range(len(TERMS))}
    sentences = torch.zeros(len(texts), 384)
    for row, text in enumerate(texts):
        for start in range(len(text) - 2):
            sentences[row, hash_of(text[start : start + 3]) % 384] += 1
    space = learn_space(F.normalize(sentences, dim=1), terms, len(TERMS), 32, 150, seed=0)
    centres = space.centres()
    places = space(F.normalize(sentences, dim=1))
    own = (places * centres[terms.clamp(min=0)]).sum(1)
    assert own[terms >= 0].mean() > 0.6
    assert (places[terms < 0] @ centres.T).amax(1).mean() < 0.6

    tokenizer = train_tokenizer(texts, 400)
    tower = TextTower(QuickStartConfig(embed=32, text_width=64, text_blocks=1, vocabulary=400))
    with torch.no_grad():
        before = F.normalize(tower(encode(tokenizer, texts[:200], 32)), dim=1)
    train_tower(tower, tokenizer, texts, terms, places, centres.detach(), 32, 40, seed=0, rate=0.01)
    with torch.no_grad():
        after = F.normalize(tower(encode(tokenizer, texts[:200], 32)), dim=1)
    assert (after * places[:200]).sum(1).mean() > (before * places[:200]).sum(1).mean() + 0.1


def hash_of(text: str) -> int:
    """The same in every process, as Python's is not."""
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))


def test_a_slip_of_the_pen_changes_one_word_by_a_letter():
    rng = random.Random(0)
    for _ in range(300):
        changed = slip("segment the left kidney", rng).split()
        assert len(changed) == 4
        assert sum(a != b for a, b in zip(changed, ["segment", "the", "left", "kidney"], strict=True)) <= 1
    assert slip("a b", rng) == "a b"


def test_a_third_of_the_people_of_each_source_is_kept_whatever_the_order_of_their_files():
    people = [f"p{number}" for number in range(30)]
    away = kept("source", people)
    assert len(away) == 10
    assert kept("source", reversed(people)) == away != kept("another source", people)
    assert not kept("source", ["one", "two"])
    assert kept("busbra_breast_us", ["one", "two"]) == {"one", "two"}, "its licence does not allow training"


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("10002__10002_135_mask.png", "10002"),
        ("pt_109_ct.nii.gz", "pt_109"),
        ("training_seg_04.nii.gz", "training_seg_04"),
        ("patient07_flair.nii.gz", "patient07"),
    ],
)
def test_files_of_a_person_are_told_by_their_names(name, person):
    assert person_of(Path(name)) == person


def test_a_lesion_lies_in_an_organ_and_is_called_by_it():
    random.seed(0)
    torch.manual_seed(0)
    labels = torch.full((96, 96), LABEL_INDEX["soft"])
    labels[20:80, 20:80] = LABEL_INDEX["liver"]
    drawn = 0
    for _ in range(20):
        image, found = add_lesion(torch.full((1, 1, 96, 96), 60.0), labels.clone(), 300.0, True)
        tumour = found == LABEL_INDEX["liver_tumour"]
        drawn += bool(tumour.any())
        assert not (tumour & (labels != LABEL_INDEX["liver"]))[:17].any()
        if tumour.any():
            assert (image[0, 0][tumour].mean() - 60).abs() > 8
    assert drawn > 12
    nothing = torch.full((96, 96), LABEL_INDEX["soft"])
    assert add_lesion(torch.zeros(1, 1, 96, 96), nothing, 300.0, True)[1] is nothing


def test_what_cannot_be_in_a_picture_is_known_to_be_absent():
    known = known_terms(("mandible",), ("neck", "head"))
    assert known[TERM_INDEX["mandible"]]
    assert known[TERM_INDEX["liver"]], "which is nowhere near"
    assert not known[TERM_INDEX["brain"]], "which may be there without a label"
    away = elsewhere(["knee"])
    assert away[TERM_INDEX["brain"]]
    assert not away[TERM_INDEX["knee bone"]]
    assert not away[TERM_INDEX["mr"]]


def test_pooled_loss_is_lowest_for_the_texts_of_what_is_visible():
    texts = F.normalize(torch.eye(len(TERMS), 64) + 0.01, dim=1)
    area, known = torch.zeros(1, len(TERMS)), torch.ones(1, len(TERMS), dtype=torch.bool)
    area[0, TERM_INDEX["liver"]] = area[0, TERM_INDEX["spleen"]] = 0.1
    liver, spleen, heart = (texts[TERM_INDEX[name]][None] for name in ("liver", "spleen", "heart"))
    both = pooled_loss(liver + spleen, texts, area, known)
    assert both < pooled_loss(liver, texts, area, known) < pooled_loss(heart, texts, area, known)


def test_bottleneck_noise_keeps_a_region_and_replaces_the_rest():
    torch.manual_seed(0)
    tokens, coarse = torch.full((6, 1 + 144, 8), 5.0), torch.zeros(6, len(TERMS), 144)
    coarse[:, 0, 60:80] = 1
    mixed, keep = bottleneck_noise(tokens, coarse, torch.ones(6, len(TERMS), dtype=torch.bool))
    kept, lost = mixed[:, 1:][keep > 0], mixed[:, 1:][keep == 0]
    assert kept.mean() > 3
    assert lost.mean() < 2


def test_a_named_label_rules_out_other_terms_but_plain_tissue_rules_out_none():
    matrix, groups = settled(), membership()
    assert matrix[LABEL_INDEX["heart"], TERM_INDEX["liver"]] == 1
    assert groups[LABEL_INDEX["heart"], TERM_INDEX["liver"]] == 0
    assert not matrix[LABEL_INDEX["soft"]].any()
    assert matrix[LABEL_INDEX["bone"], TERM_INDEX["rib"]] == 0
    assert matrix[LABEL_INDEX["heart"], TERM_INDEX["left ventricle"]] == 0
    assert matrix[LABEL_INDEX["left_ventricle"], TERM_INDEX["right ventricle"]] == 1


def test_the_second_look_learns_from_a_bank_and_from_nothing_that_is_unknown(tmp_path, trunk):
    random.seed(0)
    torch.manual_seed(0)
    fill(tmp_path, [trunk], 6, seed=0)
    bank = Bank.open(tmp_path)
    assert len(bank) == 6
    assert set(bank.sources) == {"trunk"}
    features = np.random.default_rng(0).normal(size=(6, *FEATURES)).astype(np.float16)
    np.save(features_file(tmp_path), features)
    np.save(tmp_path / "embedded.npy", np.array([1, 1, 1, 1, 1, 0], np.uint8))
    texts = Texts(F.normalize(torch.randn(len(TERMS), 3, 128), dim=2), F.normalize(torch.randn(20, 128), dim=1))
    lessons = Lessons(bank, tmp_path, texts, batch=4)
    net = SecondNet(SecondConfig())

    def total() -> torch.Tensor:
        parts = lessons.losses(net, np.random.default_rng(1))
        assert all(torch.isfinite(part) for part in parts.values())
        return torch.stack(list(parts.values())).sum()

    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    first = float(total().detach())
    for _ in range(6):
        optimiser.zero_grad()
        loss = total()
        loss.backward()
        optimiser.step()
    assert float(total().detach()) < first
