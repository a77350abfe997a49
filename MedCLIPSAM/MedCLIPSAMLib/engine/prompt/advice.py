"""What to type instead of a mistake, another language or a negation; said before any work is done for a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rapidfuzz.distance import OSA

from ..errors import InputError
from .prompt import Prompt
from .terms import ENGLISH, Concept, Terms, is_unspaced, plain, read_terms

if TYPE_CHECKING:
    from ..clip.base import ImageTextModel

_SUGGESTED = 3  # terms at most
_MANY = 3  # languages that share a term are not listed
# Letters from which a text may have one or two slips: of fewer letters too many words would be near.
_ONE_SLIP, _TWO_SLIPS = 4, 8


def check_texts(prompts: Iterable[Prompt], known: Sequence[str] | None) -> tuple[str, ...]:
    """Looks at the texts of prompts before a model is loaded.

    A text that negates is refused: image-text models do not read "no". So is one that is near a known term, or one in
    another language, where the model knows only the terms that it lists.

    Args:
        known: the terms that the model was trained to find; None for a model of free text, whose user is told only.

    Returns:
        Sentences for the user, where nothing is refused.

    Raises:
        InputError: with a sentence for each text that must be worded differently.
    """
    terms = read_terms()
    refused, said = [], []
    for prompt in prompts:
        for text in (*prompt.wordings, *prompt.contrast):
            if text in prompt.wordings and negates(text, terms):
                refused.append(
                    f"The text {text!r} says what is not wanted, which the models cannot read: name what to find, and"
                    ' give what it is not to be taken for as "contrast" in a prompt set.'
                )
            elif sentence := _mistaken(text, tuple(known or ()), terms):
                (said if known is None else refused).append(sentence)
    if refused:
        raise InputError(" ".join(dict.fromkeys(refused)))
    return tuple(dict.fromkeys(said))


def check_meanings(prompts: Iterable[Prompt], model: ImageTextModel) -> tuple[str, ...]:
    """Lets a model read the texts of prompts before it sees a slice.

    Returns:
        Sentences for the user about words that it takes for another structure.

    Raises:
        InputError: it cannot read one of them, or does not know it but another word for it.
    """
    vocabulary = model.vocabulary
    refused, said = [], []
    for prompt in prompts:
        features = model.encode_text([*prompt.wordings, *prompt.contrast])
        for text, feature in zip(prompt.wordings, features, strict=False):
            concepts = _named(text)
            if vocabulary is None or not concepts:
                continue
            meant = vocabulary.meaning(feature / feature.norm())
            others = [name for concept in concepts if (name := concept.known_as(vocabulary.terms)) is not None]
            if meant is None and others:
                refused.append(f"The model {model.name} does not know {text!r}; did you mean {' or '.join(others)}?")
            elif meant is not None and meant not in others:
                said.append(f"The model {model.name} takes {text!r} for {meant}.")
    if refused:
        raise InputError(" ".join(dict.fromkeys(refused)))
    return tuple(dict.fromkeys(said))


def negates(text: str, terms: Terms) -> bool:
    """Whether a text names a structure that is not wanted: "no liver", "alles außer der Leber", "肝脏以外"."""
    words = [word for word in plain(text).split() if word not in terms.articles]
    for start in range(len(words)):
        for stop in range(start + 1, min(start + terms.longest, len(words)) + 1):
            if not _names_something(" ".join(words[start:stop]), terms):
                continue
            before, after = " ".join(words[:start]), " ".join(words[stop:])
            if any(f" {before}".endswith(f" {word}") for word in terms.before) or any(
                f"{after} ".startswith(f"{word} ") for word in terms.after
            ):
                return True
    return any(_negates_unspaced(word, terms) for word in words if is_unspaced(word))


def _negates_unspaced(text: str, terms: Terms) -> bool:
    for term in terms.unspaced:
        before, found, after = text.partition(term)
        if found:
            return before.endswith(tuple(filter(is_unspaced, terms.before))) or after.startswith(
                tuple(filter(is_unspaced, terms.after))
            )
    return False


def _names_something(text: str, terms: Terms) -> bool:
    return text in terms.meanings or terms.is_english(text)


def _mistaken(text: str, known: tuple[str, ...], terms: Terms) -> str | None:
    """A sentence for a text in another language or with a slip of the pen; None where it is neither."""
    core = _core(text, terms)
    if not core or core in map(plain, known) or terms.is_english(core):
        return None
    if meanings := terms.meanings.get(core):
        codes = list(dict.fromkeys(code for languages in meanings.values() for code in languages))
        language = " or ".join(terms.languages[code] for code in codes) if len(codes) < _MANY else "not English"
        return f"The text {text!r} is {language}, and the models read English; {_proposed(list(meanings), known)}"
    if near := _near(core, known, terms):
        return f"The text {text!r} is not known; {_proposed(near, known)}"
    return None


def _core(text: str, terms: Terms) -> str:
    """The words of a text that say something of a structure, plain; of a script without spaces, the longest term."""
    words = [word for word in plain(text).split() if word not in terms.fillers]
    core = " ".join(words)
    if core in terms.meanings or not is_unspaced(core):
        return core
    return next((term for term in terms.unspaced if term in core), core)


def _near(core: str, known: tuple[str, ...], terms: Terms) -> list[Concept]:
    """Structures with a term that is a few slips away, nearest first, those that the model knows before others."""
    if is_unspaced(core):
        return []
    nearest: dict[Concept, tuple[int, bool, bool]] = {}
    for term, meanings in terms.meanings.items():
        slips = _slips(core, term, terms)
        if slips is None:
            continue
        for concept, codes in meanings.items():
            order = (slips, concept.known_as(known) is None, ENGLISH not in codes)
            nearest[concept] = min(order, nearest.get(concept, order))
    best = min((order[0] for order in nearest.values()), default=0)
    return sorted((concept for concept, order in nearest.items() if order[0] == best), key=nearest.__getitem__)


def _slips(core: str, term: str, terms: Terms) -> int | None:
    """How many letters of a text must change to make it a term; None if it is more than slips of the pen.

    A word that is English as it is was meant, and of few letters too many others are near.
    """
    written, meant = core.split(), term.split()
    if len(written) != len(meant):
        joined = "".join(written), "".join(meant)
        doubtful = not all(word in terms.english_words for word in written)
        apart = OSA.distance(*joined, score_cutoff=1)
        return apart if doubtful and apart <= 1 and len(joined[0]) >= _TWO_SLIPS else None
    slips = 0
    for word, other in zip(written, meant, strict=True):
        if word == other:
            continue
        letters = min(len(word), len(other)) + (len(written) > 1)  # other words that agree are evidence, too
        most = (letters >= _ONE_SLIP) + (letters >= _TWO_SLIPS)
        apart = OSA.distance(word, other, score_cutoff=most)
        if apart > most or word in terms.english_words:
            return None
        slips += apart
    return slips


def _named(text: str) -> list[Concept]:
    """The structures that an English text names by one of their terms, in the singular or plural."""
    terms = read_terms()
    core = _core(text, terms)
    meanings = terms.meanings.get(core) or terms.meanings.get(core.removesuffix("s"), {})
    return [concept for concept, codes in meanings.items() if ENGLISH in codes]


def _proposed(concepts: Sequence[Concept], known: tuple[str, ...]) -> str:
    found = [name for concept in concepts if (name := concept.known_as(known)) is not None]
    names = found or [concept.name for concept in concepts]
    question = f"did you mean {' or '.join(names[:_SUGGESTED])}?"
    return question if found or not known else f"{question} The model was not trained to find that."
