"""Tables and folders of pairs, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.training.pairs import check_apart, read_pairs, split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c", "d"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def table(folder: Path, content: str, name: str = "pairs.csv") -> Path:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def test_a_table_and_lines_of_json_say_the_same(folder):
    rows = [
        {"image": "a.png", "text": "a liver, and\na spleen", "slice": None, "patient": "7", "split": "val"},
        {"image": "b.png", "text": "Leber \u2028 kidney", "slice": 3, "patient": "8", "split": "train"},
    ]
    lines = table(folder, "\n".join(map(json.dumps, rows)) + "\n", "pairs.jsonl")
    comma = table(
        folder,
        '\ufeffimage,text,slice,patient,split\na.png,"a liver, and\na spleen",,7,val\n'
        "b.png,Leber \u2028 kidney,3,8,train\n",
    )
    assert read_pairs(lines) == read_pairs(comma)
    first, second = read_pairs(comma)
    assert (first.image, first.text, first.slice, first.side) == (folder / "a.png", rows[0]["text"], None, "validation")
    assert (second.slice, second.patient, second.side) == (3, "8", "training")


def test_a_folder_has_a_text_beside_each_picture(folder):
    (folder / "deeper").mkdir()
    (folder / "a.png").rename(folder / "deeper" / "a.png")
    (folder / "deeper" / "a.txt").write_text("a liver\n")
    (folder / "b.txt").write_text("a spleen")
    pairs = read_pairs(folder)
    assert [(pair.image.name, pair.text) for pair in pairs] == [("b.png", "a spleen"), ("a.png", "a liver")]


@pytest.mark.row("training-table")
@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        ("image,caption\na.png,liver\n", "p.csv", "has no 'text'"),
        ("image,text\na.png,  \n", "p.csv", "empty text"),
        ("image,text\n,liver\n", "p.csv", "names no image"),
        ("image,text\na.png,liver\nx.png,liver\ny.png,liver\n", "p.csv", "names 2 of 3 images that are not there"),
        ("image,text,slice\na.png,liver,-1\n", "p.csv", "slice '-1'"),
        ("image,text,split\na.png,liver,test\n", "p.csv", "split 'test'"),
        ("image,text\n", "p.csv", "has no pairs"),
        ('image,text\na.png,"liver\n', "p.csv", "is no table in CSV"),
        ('{"image": "a.png"\n', "p.jsonl", "line 1, is no JSON object"),
        ("[1]\n", "p.jsonl", "line 1, is no JSON object"),
        ("a", "p.txt", "is no table of pairs"),
    ],
)
def test_a_bad_table_is_told_in_a_sentence(folder, content, name, sentence):
    with pytest.raises(InputError, match=sentence):
        read_pairs(table(folder, content, name))


def test_a_table_in_another_code_is_told(folder):
    file = folder / "pairs.csv"
    file.write_bytes("image,text\na.png,Nierengr\xf6\xdfe\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_pairs(file)


def test_what_is_not_there_and_what_has_no_texts_is_told(folder):
    with pytest.raises(InputError, match="There is no"):
        read_pairs(folder / "missing.csv")
    with pytest.raises(InputError, match="has no pairs"):
        read_pairs(folder)


def several(folder: Path, patients: str, sides: str = "") -> Path:
    lines = [f"a.png,text {n},{patient}" for n, patient in enumerate(patients)]
    if sides:
        lines = [
            f"{line},{'' if side == '-' else {'t': 'train', 'v': 'val'}[side]}"
            for line, side in zip(lines, sides, strict=True)
        ]
    return table(folder, "\n".join(["image,text,patient" + (",split" if sides else ""), *lines]) + "\n")


def test_patients_stay_together(folder):
    pairs = read_pairs(several(folder, "aabbccddee"))
    training, validation = split(pairs, 0.4, seed=1)
    assert len(training), len(validation) == (6, 4)
    assert not {pair.patient for pair in training} & {pair.patient for pair in validation}
    assert split(pairs, 0.4, seed=1) == (training, validation)
    assert any(split(pairs, 0.4, seed=seed)[1] != validation for seed in range(2, 9))


def test_the_table_decides_where_it_says_who(folder):
    training, validation = split(read_pairs(several(folder, "abc", "tvt")), 0.5, seed=0)
    assert [pair.patient for pair in training], [pair.patient for pair in validation] == (["a", "c"], ["b"])


@pytest.mark.row("training-patients")
@pytest.mark.parametrize(
    ("patients", "sides", "sentence"),
    [
        ("aab", "tvt", "1 patients, such as 'a', are in training and in validation"),
        ("abc", "tv-", "split is empty in some lines"),
        ("ab", "tv", "fewer than two pairs to train on"),
    ],
)
def test_a_split_that_cannot_be_is_told(folder, patients, sides, sentence):
    with pytest.raises(InputError, match=sentence):
        split(read_pairs(several(folder, patients, sides)), 0.5, seed=0)


def test_pairs_of_others_must_be_of_others(folder):
    pairs = read_pairs(several(folder, "ab"))
    with pytest.raises(InputError, match="on one side"):
        check_apart(pairs, pairs[:1])
