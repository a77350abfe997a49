"""Anatomical terms in several languages, and the words that stand around them: Resources/Terms."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from ..files.resources import resource

ENGLISH = "en"
# Hiragana, katakana and Han: scripts without spaces.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class Concept:
    """A structure.

    Attributes:
        terms: by the code of a language, as a person writes them; the first English one is the structure's name.
    """

    terms: dict[str, tuple[str, ...]]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> str:
        """The first English term."""
        return self.terms[ENGLISH][0]

    def known_as(self, terms: tuple[str, ...]) -> str | None:
        """The one of ``terms`` that is an English term of the structure."""
        own = {plain(term) for term in self.terms[ENGLISH]}
        return next((term for term in terms if plain(term) in own), None)


class Terms:
    """All structures, found by their terms.

    Attributes:
        languages: English name of each language by its code.
        fillers: words that say nothing of the structure, articles among them, plain.
        words: English words that are mistakes for no term, plain.
        before, after: of negation, plain, longest first; those of scripts without spaces are parts of words.
    """

    def __init__(self) -> None:
        phrases = json.loads(resource("Terms/phrases.json").read_text("utf-8"))
        with resource("Terms/terms.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.languages: dict[str, str] = phrases["languages"]
        self.concepts = tuple(Concept({code: _listed(row[code]) for code in self.languages}) for row in rows)
        self.articles = _all_plain(phrases["articles"].values())
        self.fillers = self.articles | _all_plain(phrases["fillers"].values())
        self.words = frozenset(map(plain, phrases["words"]))
        self.before, self.after = (
            self._negations(kind[side] for kind in phrases["negations"].values()) for side in ("before", "after")
        )

    def _negations(self, groups: Iterable[list[str]]) -> tuple[str, ...]:
        """Without articles, as texts are that are searched for them."""
        bare = {" ".join(word for word in text.split() if word not in self.articles) for text in _all_plain(groups)}
        return tuple(sorted(bare - {""}, key=len, reverse=True))

    @cached_property
    def meanings(self) -> dict[str, dict[Concept, tuple[str, ...]]]:
        """Plain term -> the structures that it may mean, each with the languages in which it does."""
        found: dict[str, dict[Concept, tuple[str, ...]]] = {}
        for concept in self.concepts:
            for code, terms in concept.terms.items():
                for term in map(plain, terms):
                    languages = found.setdefault(term, {})
                    languages[concept] = tuple(dict.fromkeys((*languages.get(concept, ()), code)))
        return found

    @cached_property
    def unspaced(self) -> tuple[str, ...]:
        """Terms in scripts without spaces, longest first."""
        return tuple(sorted(filter(is_unspaced, self.meanings), key=len, reverse=True))

    @cached_property
    def longest(self) -> int:
        """Words of the longest term."""
        return max(len(term.split()) for term in self.meanings)

    @cached_property
    def english_words(self) -> frozenset[str]:
        """The words of all English terms, and those beside them, plain."""
        return self.words.union(*(plain(term).split() for concept in self.concepts for term in concept.terms[ENGLISH]))

    def is_english(self, text: str) -> bool:
        """Whether a plain text is an English term or word, in the singular or plural."""
        forms = {text, text.removesuffix("s"), text.removesuffix("es"), f"{text}s"}
        return any(
            form in self.words or any(ENGLISH in codes for codes in self.meanings.get(form, {}).values())
            for form in forms
        )


@cache
def read_terms() -> Terms:
    """The terms of this installation, read once.

    Raises:
        MedCLIPSAMError: this installation has none.
    """
    return Terms()


def plain(text: str) -> str:
    """Small letters and digits without accents, in words with one space between them."""
    spread = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l").replace("œ", "oe").replace("ß", "ss"))
    bare = "".join(letter for letter in spread if not unicodedata.combining(letter) or is_unspaced(letter))
    # What a voiced sound mark was taken from is put together again.
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", bare)))


def is_unspaced(text: str) -> bool:
    """Whether a text has letters of a script without spaces."""
    return _UNSPACED.search(text) is not None


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(term.strip() for term in cell.split(";"))


def _all_plain(groups: Iterable[list[str]]) -> frozenset[str]:
    return frozenset(plain(word) for group in groups for word in group)
