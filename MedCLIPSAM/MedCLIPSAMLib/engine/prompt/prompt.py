"""What the user asks for: names, wordings, contrasts, points, and sets of them as JSON."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import InputError
from ..files.document import checked_fields, checked_list, shown

VisualPrompt = Literal["box", "points", "both"]
VISUAL_PROMPTS: tuple[VisualPrompt, ...] = get_args(VisualPrompt)

MAX_TEXT = 300
JSON_VERSION = 1


@dataclass(frozen=True)
class Point:
    """A place the user pointed at.

    Attributes:
        ras: (R, A, S) in mm.
        positive: True where the structure is, False where it is not.

    Raises:
        InputError: not three finite numbers.
    """

    ras: tuple[float, float, float]
    positive: bool = True

    def __post_init__(self) -> None:
        try:
            r, a, s = map(float, () if isinstance(self.ras, str) else self.ras)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"The point {shown(self.ras)} is no place; give three numbers R, A, S in mm.") from None
        if not all(math.isfinite(value) for value in (r, a, s)):
            raise InputError(f"The point {shown(self.ras)} is not finite; give three numbers R, A, S in mm.")
        object.__setattr__(self, "ras", (r, a, s))


@dataclass(frozen=True)
class Prompt:
    """One structure to segment.

    Attributes:
        name: what the segment is called.
        wordings: texts which describe the structure; several are an ensemble (mean of their features).
        contrast: texts which describe what it must not be confused with.
        instances: how many separate parts to keep; None keeps as many as the evidence shows.
        visual: what the segmenter is given: a box, points, or both.
        points: places the user pointed at.
        localize: how its saliency becomes a coarse mask, by a name of `localize.BINARIZERS`; None leaves it to the
            session.
        sensitivity: 0..1; above 0.5 weak saliency and low scores count for more, below it for less.

    Raises:
        InputError: a text is empty, longer than 300 characters or has control characters; there is no
            wording; `instances` is not a positive whole number; `visual` is unknown; `localize` is no text;
            `sensitivity` is not in 0..1.
    """

    name: str
    wordings: tuple[str, ...]
    contrast: tuple[str, ...] = ()
    instances: int | None = None
    visual: VisualPrompt = "box"
    points: tuple[Point, ...] = ()
    localize: str | None = None
    sensitivity: float = 0.5

    @property
    def texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Wordings and contrast wordings: all of it that an image-text model is shown."""
        return self.wordings, self.contrast

    def __post_init__(self) -> None:
        name = checked_text(self.name, "The name of the prompt")
        wordings = _texts(self.wordings, f"A wording of {name!r}")
        if not wordings:
            raise InputError(f"The prompt {name!r} has no wording; describe the structure in words.")
        if self.instances is not None and (type(self.instances) is not int or self.instances < 1):
            raise InputError(f"The prompt {name!r} asks for {shown(self.instances)} instances; give 1 or more.")
        if self.visual not in VISUAL_PROMPTS:
            raise InputError(
                f"The prompt {name!r} has the visual prompt {shown(self.visual)}; use {', '.join(VISUAL_PROMPTS)}."
            )
        if type(self.sensitivity) not in (int, float) or not 0 <= self.sensitivity <= 1:
            raise InputError(f"The prompt {name!r} has the sensitivity {shown(self.sensitivity)}; give 0 to 1.")
        if self.localize is not None:
            object.__setattr__(self, "localize", checked_text(self.localize, f"The localisation of {name!r}"))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "wordings", wordings)
        object.__setattr__(self, "contrast", _texts(self.contrast, f"A contrast wording of {name!r}"))
        object.__setattr__(self, "points", tuple(self.points))

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """A prompt as typed: `liver`, or with name and wordings `NAME=wording; wording`.

        Without a name, the first wording is the name.
        """
        name, equals, wordings = text.partition("=")
        parts = tuple((wordings if equals else text).split(";"))
        return cls(name if equals else parts[0], parts)


@dataclass(frozen=True)
class PromptSet:
    """Prompts which are segmented together; every name occurs once, whatever its case.

    Raises:
        InputError: two prompts have the same name.
    """

    prompts: tuple[Prompt, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(self.prompts))
        seen: set[str] = set()
        for prompt in self.prompts:
            if prompt.name.casefold() in seen:
                raise InputError(f"Two prompts are named {prompt.name!r}; give each a name of its own.")
            seen.add(prompt.name.casefold())

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    def to_json(self) -> str:
        """The set as JSON text; fields at their default are left out."""
        document = {"version": JSON_VERSION, "prompts": [_prompt_to_dict(prompt) for prompt in self.prompts]}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> PromptSet:
        """Read what `to_json` writes.

        Raises:
            InputError: not JSON, another version, an unknown or missing key, or a value that no prompt has.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"The prompt set is not JSON ({error}); correct the file.") from None
        fields = checked_fields(document, "The prompt set", required=("version", "prompts"))
        if type(fields["version"]) is not int or fields["version"] != JSON_VERSION:
            raise InputError(f"The prompt set has version {shown(fields['version'])}; only {JSON_VERSION} can be read.")
        prompts = checked_list(fields["prompts"], "The prompts of the prompt set")
        return cls(tuple(_prompt_from_dict(entry, number) for number, entry in enumerate(prompts, start=1)))


def checked_text(text: object, what: str) -> str:
    """`text` without surrounding white space.

    Raises:
        InputError: not text, empty, longer than 300 characters, or with control characters or lone surrogates.
    """
    if not isinstance(text, str):
        raise InputError(f"{what} is {shown(text)}; give text.")
    stripped = text.strip()
    if not stripped:
        raise InputError(f"{what} is empty; write at least one word.")
    if len(stripped) > MAX_TEXT:
        raise InputError(f"{what} has {len(stripped)} characters; write at most {MAX_TEXT}.")
    kinds = {unicodedata.category(character) for character in stripped}
    if "Cs" in kinds:  # what Python makes of a terminal's bytes in another encoding, and no file can store
        raise InputError(f"{what} has letters that are not written in UTF-8; type it again.")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise InputError(f"{what} has control characters or line breaks; write it on one line.")
    return stripped


def _texts(texts: object, what: str) -> tuple[str, ...]:
    if isinstance(texts, str):  # it would be taken for its letters
        raise InputError(f"{what} must be in a list; put the text in one.")
    return tuple(checked_text(text, what) for text in checked_list(texts, what))


def _prompt_to_dict(prompt: Prompt) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": prompt.name, "wordings": list(prompt.wordings)}
    if prompt.contrast:
        fields["contrast"] = list(prompt.contrast)
    if prompt.instances is not None:
        fields["instances"] = prompt.instances
    if prompt.visual != "box":
        fields["visual"] = prompt.visual
    if prompt.localize is not None:
        fields["localize"] = prompt.localize
    if prompt.sensitivity != 0.5:
        fields["sensitivity"] = prompt.sensitivity
    if prompt.points:
        fields["points"] = [{"ras": list(point.ras), "positive": point.positive} for point in prompt.points]
    return fields


def _prompt_from_dict(value: object, number: int) -> Prompt:
    what = f"Prompt {number} of the prompt set"
    optional = ("contrast", "instances", "visual", "points", "localize", "sensitivity")
    fields = dict(checked_fields(value, what, ("name", "wordings"), optional))
    points = checked_list(fields.pop("points", []), f"{what}: points")
    return Prompt(**fields, points=tuple(_point_from_dict(point, f"{what}: a point") for point in points))


def _point_from_dict(value: object, what: str) -> Point:
    fields = checked_fields(value, what, ("ras",), ("positive",))
    positive = fields.get("positive", True)
    if not isinstance(positive, bool):
        raise InputError(f"{what} has positive {shown(positive)}; use true or false.")
    return Point(fields["ras"], positive)
