"""The training of the built-in model: what it draws, what it writes and what its losses ask for."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F

from MedCLIPSAMLib.engine.clip.quickstart_net import QuickStartConfig, QuickStartNet
from MedCLIPSAMLib.engine.files.resources import resource
from quickstart.augment import add_effusion, draw, move_aorta
from quickstart.descriptions import DOES, describe, describe_elsewhere
from quickstart.findings import HELD_OUT as HELD_OUT_FINDINGS
from quickstart.findings import write_finding
from quickstart.losses import bottleneck_noise, pooled_loss
from quickstart.polish import polish_text
from quickstart.terms import LABEL_INDEX, LABELS, TERM_INDEX, TERMS, membership, settled
from quickstart.text import encode
from quickstart.volumes import TrainingVolume, finish
from quickstart.wordings import HELD_OUT, write_text, write_unseen


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
        assert sample["image"].shape == (1, 64, 64)
        assert sample["image"].dtype == torch.uint8
        assert sample["fractions"].shape == (len(LABELS), 16, 16)
        assert (sample["fractions"].int().sum(0) - 255).abs().max() <= 3  # rounding
    assert len({sample["image"].float().mean().item() for sample in samples}) == len(samples)
    assert any(sample["fractions"][LABEL_INDEX["liver"]].any() for sample in samples)


def test_the_aorta_is_drawn_in_front_of_the_spine_and_left_of_it(trunk):
    random.seed(1)
    torch.manual_seed(1)
    image, labels = trunk.image[:, :, 10, :, 10:90], trunk.labels[0, 0, 10, :, 10:90].long()
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
    wet = (found == LABEL_INDEX["other"]).nonzero()
    assert len(wet) > 100
    assert wet[:, 0].max() == 49
    assert (wet[:, 1] < 25).all() or (wet[:, 1] >= 40).all()
    assert abs(filled[0, 0][found == LABEL_INDEX["other"]].median() - 15) < 1
    assert (filled[0, 0][found == LABEL_INDEX["lung_left"]].median()) == -800
    unchanged, same = add_effusion(torch.zeros(1, 1, 64, 64), torch.zeros(64, 64, dtype=torch.long), 15.0, 0.8)
    assert not unchanged.any()
    assert not same.any()


def test_wordings_kept_for_the_report_are_never_written():
    rng = random.Random(0)
    kept = {text.lower() for texts in HELD_OUT.values() for text in texts}
    written = {write_text(term, rng).lower() for term in TERMS for _ in range(2000)}
    assert len(written) > 20_000
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
    assert {"hepatic cyst", "renal hilum", "left ventricle", "tumour of the liver"} <= findings
    assert not findings & set(HELD_OUT_FINDINGS)
    assert not findings & {text for term in TERMS for text in (*term.nouns, *term.phrases)}


def test_the_text_tower_alone_learns_to_tell_findings_from_their_organ():
    folder = resource("QuickStart")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    net = QuickStartNet(QuickStartConfig(**json.loads((folder / "config.json").read_text())))
    net.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()})
    image = {name: tensor.clone() for name, tensor in net.image.state_dict().items()}
    torch.manual_seed(0)
    with torch.no_grad():  # forgets some of what it knew
        net.text.weigh.weight.mul_(0.3)
        net.text.tokens.weight.add_(torch.randn_like(net.text.tokens.weight), alpha=0.3)

    @torch.no_grad()
    def likeness(*texts: str) -> float:
        liver, *others = F.normalize(net.text(encode(tokenizer, ["liver", *texts], 32)), dim=1)
        return max(float(liver @ other) for other in others)

    before = likeness("liver cyst", "liver abscess")
    polish_text(net, tokenizer, 30, seed=0, rate=1e-3)
    assert likeness("liver cyst", "liver abscess") < before - 0.15
    assert likeness("hepatic parenchyma") > 0.9
    assert all(torch.equal(tensor, image[name]) for name, tensor in net.image.state_dict().items())


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
