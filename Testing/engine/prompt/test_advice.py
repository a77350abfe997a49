"""What is said to a mistake, to another language and to a negation, and that everything else passes."""

from __future__ import annotations

import csv

import pytest
import torch

from MedCLIPSAMLib.engine.clip.registry import known_terms, load_clip
from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.engine.files.resources import resource
from MedCLIPSAMLib.engine.prompt.advice import check_meanings, check_texts, negates
from MedCLIPSAMLib.engine.prompt.library import STYLES, read_library
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.prompt.terms import plain, read_terms

KNOWN = ("liver", "heart", "lung", "kidney", "left kidney", "gallbladder", "inferior vena cava", "brain", "aorta")


def said(*texts: str, known: tuple[str, ...] | None = KNOWN, contrast: tuple[str, ...] = ()) -> str:
    """The refusal of prompts with these wordings."""
    with pytest.raises(InputError) as refused:
        check_texts([Prompt("name", (text,), contrast) for text in texts], known)
    return str(refused.value)


@pytest.mark.row("prompt-mistake")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("livr", "liver"),
        ("segment the livver", "liver"),
        ("brian", "brain"),
        ("kidny", "kidney"),
        ("left kidny", "left kidney"),
        ("lft kidney", "left kidney"),
        ("gall blader", "gallbladder"),
        ("gal bladder", "gallbladder"),
        ("inferior vena cva", "inferior vena cava"),
        ("Lebre", "liver"),
    ],
)
def test_a_slip_of_the_pen(text: str, meant: str) -> None:
    assert said(text) == f"The text {text!r} is not known; did you mean {meant}?"


def test_two_terms_as_near_are_both_proposed() -> None:
    assert said("laver") == "The text 'laver' is not known; did you mean liver?"
    assert said("lever", known=("liver", "lung")).endswith("did you mean liver?")
    assert said("hert").endswith("did you mean heart?")


@pytest.mark.row("prompt-language")
@pytest.mark.parametrize(
    ("text", "language", "meant"),
    [
        ("Leber", "German", "liver"),
        ("CT der Leber", "German", "liver"),
        ("le foie", "French", "liver"),
        ("hígado", "Spanish", "liver"),
        ("higado", "Spanish", "liver"),
        ("fegato", "Italian", "liver"),
        ("coração", "Portuguese", "heart"),
        ("linkernier", "Dutch", "left kidney"),
        ("wątroba", "Polish", "liver"),
        ("肝脏", "Chinese", "liver"),
        ("肝脏的CT", "Chinese", "liver"),
        ("心臓", "Japanese", "heart"),
    ],
)
def test_another_language(text: str, language: str, meant: str) -> None:
    assert said(text) == f"The text {text!r} is {language}, and the models read English; did you mean {meant}?"


def test_a_structure_that_the_model_does_not_know_is_told_so() -> None:
    assert said("Harnblase").endswith("did you mean urinary bladder? The model was not trained to find that.")


@pytest.mark.row("prompt-negation")
@pytest.mark.parametrize(
    "text",
    [
        "no liver",
        "not the liver",
        "without liver",
        "everything except the liver",
        "everything but the liver",
        "non-liver",
        "absence of the gallbladder",
        "anything other than the brain",
        "normal brain without tumour",
        "gallbladder absent",
        "keine Leber",
        "ohne Leber",
        "alles außer der Leber",
        "sans le foie",
        "sin hígado",
        "senza fegato",
        "sem fígado",
        "geen lever",
        "bez wątroba",
        "没有肝脏",
        "肝脏以外",
        "肝臓なし",
        "肝臓以外",
    ],
)
def test_a_negation(text: str) -> None:
    assert said(text).startswith(f"The text {text!r} says what is not wanted, which the models cannot read: ")
    with pytest.raises(InputError, match="says what is not wanted"):
        check_texts([Prompt("name", (text,))], None)


@pytest.mark.parametrize(
    "text",
    [
        "CT without contrast showing the liver",
        "non-contrast CT of the liver",
        "non-small cell lung cancer",
        "air outside the body",
        "a lesion that is not enhancing",
    ],
)
def test_what_only_sounds_like_a_negation(text: str) -> None:
    assert not negates(text, read_terms())


def test_a_contrast_may_negate_but_not_be_mistaken() -> None:
    check_texts([Prompt("liver", ("liver",), ("no liver",))], KNOWN)
    assert "did you mean kidney?" in said("liver", contrast=("Niere",))


def test_all_texts_are_told_at_once() -> None:
    told = said("livr", "no liver", "Herz", "liver")
    assert [part in told for part in ("'livr'", "'no liver'", "'Herz'", "'liver'")] == [True, True, True, False]


def test_a_model_of_free_text_is_not_kept_from_it() -> None:
    prompts = [Prompt(text, (text,)) for text in ("Leber", "livr", "liver", "a hyperdense artery")]
    assert check_texts(prompts, None) == (
        "The text 'Leber' is German, and the models read English; did you mean liver?",
        "The text 'livr' is not known; did you mean liver?",
    )


def test_the_models_own_word_for_it_is_proposed() -> None:
    model = load_clip("quickstart", "cpu")
    assert model.vocabulary is not None
    known = model.vocabulary.terms
    # A word for something known that this model, or a later one, happens not to know.
    strange = [
        (concept, term)
        for concept in read_terms().concepts
        if concept.known_as(known) is not None
        for term in concept.terms["en"]
        if model.vocabulary.meaning(torch.nn.functional.normalize(model.encode_text([term]), dim=1)[0]) is None
    ]
    for concept, term in strange:
        with pytest.raises(InputError, match=rf"does not know '{term}'; did you mean {concept.known_as(known)}"):
            check_meanings([Prompt("name", (term,))], model)
    check_meanings([Prompt(term, (term,)) for term in known], model)
    with pytest.raises(InputError, match="cannot read"):
        check_meanings([Prompt("liver", ("liver",)), Prompt("name", ("печень",))], model)


class Deaf:
    """Knows "liver" and no other word for it."""

    name = "deaf"

    class vocabulary:
        terms = ("liver",)

        @staticmethod
        def meaning(feature: torch.Tensor) -> str | None:
            return "liver" if feature[0] > 0.5 else None

    @staticmethod
    def encode_text(texts: list[str]) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0] if text == "liver" else [0.0, 1.0] for text in texts])


def test_a_synonym_that_the_model_does_not_know() -> None:
    with pytest.raises(InputError, match=r"^The model deaf does not know 'hepar'; did you mean liver\?$"):
        check_meanings([Prompt("name", ("hepar",))], Deaf())  # type: ignore[arg-type]
    check_meanings([Prompt("name", ("liver",)), Prompt("other", ("spleen",))], Deaf())  # type: ignore[arg-type]


def test_a_word_that_is_taken_for_another_structure_is_told() -> None:
    clip = Deaf()
    clip.encode_text = lambda texts: torch.tensor([[1.0, 0.0]] * len(texts))  # all is liver to it
    texts = ("liver", "livers", "hepar", "pneumothorax", "something else")
    assert check_meanings([Prompt(text, (text,)) for text in texts], clip) == (  # type: ignore[arg-type]
        "The model deaf takes 'pneumothorax' for liver.",
    )


def test_every_term_of_the_model_and_the_library_is_listed() -> None:
    listed = read_terms().meanings
    known = known_terms("quickstart")
    assert known
    names = {*known, *(text for entry in read_library() for text in (entry.name, entry.word))}
    missing = {name for name in names if plain(name) not in listed}
    assert not missing


def test_every_structure_has_a_term_in_every_language() -> None:
    terms = read_terms()
    assert len(terms.languages) == 10
    with resource("Terms/terms.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(terms.languages)
    assert all(
        len(row) == len(rows[0]) and all(part.strip() for cell in row for part in cell.split(";")) for row in rows
    )
    names = [concept.name for concept in terms.concepts]
    assert len(set(names)) == len(names)


def test_no_wording_of_the_library_is_taken_for_a_mistake() -> None:
    prompts = [entry.prompt(style) for entry in read_library() for style in STYLES]
    assert check_texts(prompts, known_terms("quickstart")) == ()
    assert check_texts(prompts, None) == ()
