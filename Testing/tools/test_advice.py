"""What the built-in model is taught to understand is never taken for a mistake, another language or a negation."""

from __future__ import annotations

from MedCLIPSAMLib.engine.clip.registry import known_terms
from MedCLIPSAMLib.engine.prompt.advice import check_texts
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from quickstart.terms import TERMS
from quickstart.wordings import HELD_OUT, TEMPLATES


def test_wordings_that_the_model_learns_are_asked_as_they_are() -> None:
    texts = {text for term in TERMS for text in (*term.nouns, *term.phrases)}
    texts |= {text for held_out in HELD_OUT.values() for text in held_out}
    nouns = [term.nouns[0] for term in TERMS]
    texts |= {
        template.replace("{modality}", "ct").replace("{plane}", "axial").format(noun)
        for template in TEMPLATES
        for noun in nouns
    }
    assert check_texts([Prompt("name", (text,)) for text in sorted(texts)], known_terms("quickstart")) == ()
