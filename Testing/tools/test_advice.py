"""What the built-in model is taught to understand is never taken for a mistake, another language or a negation."""

from __future__ import annotations

from MedCLIPSAMLib.engine.clip.registry import known_terms
from MedCLIPSAMLib.engine.prompt.advice import check_texts
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from quickstart.language.terms import TERMS
from quickstart.language.wordings import HELD_OUT, TEMPLATES


def test_wordings_that_the_model_learns_are_asked_as_they_are() -> None:
    known = known_terms("quickstart")
    assert known is not None
    terms = [term for term in TERMS if term.nouns[0] in known]
    texts = {text for term in terms for text in (*term.nouns, *term.phrases)}
    texts |= {text for name, held_out in HELD_OUT.items() if name in known for text in held_out}
    nouns = [term.nouns[0] for term in terms]
    texts |= {
        template.replace("{modality}", "ct").replace("{plane}", "axial").format(noun)
        for template in TEMPLATES
        for noun in nouns
    }
    assert check_texts([Prompt("name", (text,)) for text in sorted(texts)], known) == ()
