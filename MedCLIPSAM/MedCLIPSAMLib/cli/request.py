"""From the text of options to what the engine takes; whatever is wrong with it is said before any work."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..engine.errors import InputError
from ..engine.prompt.prompt import Point, Prompt, PromptSet

if TYPE_CHECKING:
    from ..engine.clip.base import ImageTextModel
    from ..engine.session.settings import Settings
    from ..engine.volume import Modality, SliceStack, Window


REPORTS = (".json", ".sr.dcm")  # endings


def read_prompts(
    texts: Sequence[str] | None,
    file: Path | None,
    points: Sequence[str] | None,
    not_points: Sequence[str] | None,
) -> PromptSet:
    """Prompts as typed, then those of a prompt set, with the points that name them.

    Args:
        texts: "liver" or "NAME=wording; wording".
        file: prompt set in JSON.
        points, not_points: "NAME=R,A,S" in mm.

    Raises:
        InputError: no prompt at all, a bad or doubled one, a file that is no prompt set, a point of no prompt.
    """
    prompts = [Prompt.parse(text) for text in texts or ()]
    if file is not None:
        prompts += _read_set(file)
    if not prompts:
        raise InputError('There is no prompt; give one, such as --prompt "liver", or a file with --prompts.')
    by_name = {prompt.name.casefold(): prompt for prompt in PromptSet(tuple(prompts))}
    for text, positive in [(text, True) for text in points or ()] + [(text, False) for text in not_points or ()]:
        name, point = _read_point(text, positive)
        if name not in by_name:
            known = ", ".join(prompt.name for prompt in prompts)
            raise InputError(f"The point {text!r} is of no prompt here; start it with the name of one: {known}.")
        by_name[name] = replace(by_name[name], points=(*by_name[name].points, point))
    return PromptSet(tuple(by_name.values()))


def read_reports(files: Sequence[Path] | None) -> tuple[Path | None, Path | None]:
    """The report in JSON, and the structured report in DICOM, by the endings of names; others are checked later.

    Raises:
        InputError: two of a kind.
    """
    chosen: dict[bool, Path] = {}
    for file in files or ():
        is_dicom = file.name.lower().endswith(REPORTS[1])
        if is_dicom in chosen:
            raise InputError(f"{chosen[is_dicom]} and {file} are two reports of a kind; name one.")
        chosen[is_dicom] = file
    return chosen.get(False), chosen.get(True)


def read_settings(*, axis: str, window: str | None, **choices: Any) -> Settings:
    """Settings from options; None leaves a choice to the model or to what was published.

    Args:
        axis, window: as typed.
        choices: other fields of `Settings`.

    Raises:
        InputError: a name is unknown, a value out of range, or two options contradict each other.
    """
    from ..engine.localize import BINARIZERS
    from ..engine.machine.precision import PRECISIONS
    from ..engine.saliency import SALIENCY, check_exact
    from ..engine.sam.voting import VOTING
    from ..engine.session.settings import Settings
    from ..engine.volume import AXES

    given = {name: value for name, value in choices.items() if value is not None}
    _check_name("--axis", axis, AXES)
    _check_name("--saliency", given.get("saliency"), SALIENCY)
    _check_name("--localize", given.get("localize"), BINARIZERS)
    _check_name("--voting", given.get("voting"), VOTING)
    _check_name("--precision", given.get("precision"), PRECISIONS)
    if not math.isfinite(given.get("beta", 0)):
        raise InputError("--beta is not finite; give a number such as 0.1.")
    settings = Settings(axis=cast(Any, axis), window=None if window is None else _read_window(window), **given)
    if settings.saliency is not None:
        if settings.exact:
            check_exact(settings.saliency)
        _check_options(settings, settings.saliency)
    return settings


def check_fit(settings: Settings, clip: ImageTextModel) -> None:
    """Refuse options of a saliency method where the loaded model runs another method.

    Raises:
        InputError: there is such an option.
    """
    _check_options(settings, settings.saliency_for(clip.recommended.saliency))


def read_modality(text: str | None) -> Modality | None:
    """A modality in any case.

    Raises:
        InputError: there is no such modality.
    """
    from ..engine.volume import MODALITIES

    if text is None:
        return None
    by_name: dict[str, Modality] = {name.casefold(): name for name in MODALITIES}
    if text.casefold() not in by_name:
        raise InputError(f"--modality {text!r} is unknown; use {', '.join(MODALITIES)}.")
    return by_name[text.casefold()]


def read_range(text: str | None) -> tuple[int, int | None]:
    """First and last slice of "A:B", both included; None for the end of the stack.

    Raises:
        InputError: not two whole numbers in order.
    """
    first, colon, last = (text or ":").partition(":")
    try:
        start, end = int(first or 0), int(last) if last else None
    except ValueError:
        start, end, colon = 0, None, ""
    if not colon or start < 0 or (end is not None and end < start):
        raise InputError(f"--slices {text!r} is no range; give first and last slice, such as 10:25.")
    return start, end


def slices_of(stack: SliceStack, limits: tuple[int, int | None]) -> range:
    """The slices between two limits.

    Raises:
        InputError: the stack does not have them.
    """
    last = len(stack) - 1
    first, end = limits[0], last if limits[1] is None else limits[1]
    if not 0 <= first <= end <= last:
        asked = f"{first}" if first == end else f"{first} to {end}"
        raise InputError(f"{stack.volume.name} has {stack.plane} slices 0 to {last}; choose among them, not {asked}.")
    return range(first, end + 1)


def one_slice(stack: SliceStack, number: int | None) -> int:
    """The number of a slice; of a stack with a single one it need not be given.

    Raises:
        InputError: it is not given and there are several, or the stack does not have it.
    """
    if number is None and len(stack) > 1:
        raise InputError(f"{stack.volume.name} has {stack.plane} slices 0 to {len(stack) - 1}; choose one by --slice.")
    return slices_of(stack, (number or 0, number or 0)).start


def _read_set(file: Path) -> PromptSet:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); give a prompt set in JSON.") from None
    try:
        return PromptSet.from_json(content)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _read_point(text: str, positive: bool) -> tuple[str, Point]:
    name, equals, place = text.rpartition("=")
    try:
        ras = tuple(float(number) for number in place.split(","))
        if not equals or len(ras) != 3:
            raise ValueError
    except ValueError:
        raise InputError(f"The point {text!r} is not NAME=R,A,S; give it as in liver=-40,12.5,-110.") from None
    return name.strip().casefold(), Point(ras, positive)


def _read_window(text: str) -> Window:
    from ..engine.volume import WINDOWS, Window

    if text.casefold() in WINDOWS:
        return WINDOWS[text.casefold()]
    try:
        low, high = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(
            f"--window {text!r} is no window; give LOW,HIGH such as -160,240 or one of {', '.join(WINDOWS)}."
        ) from None
    return Window(low, high)


def _check_name(option: str, name: str | None, names: Collection[str]) -> None:
    if name is not None and name not in names:
        raise InputError(f"{option} {name!r} is unknown; use {', '.join(names)}.")


def _check_options(settings: Settings, method: str) -> None:
    from ..engine.saliency import saliency_class

    default, of_m2ib = type(settings)(), saliency_class("m2ib").options
    given = (name for name in of_m2ib if getattr(settings, name) != getattr(default, name))
    unused = next((name for name in given if name not in saliency_class(method).options), None)
    if unused:
        raise InputError(f"--{unused} is of the saliency m2ib, not {method}; add --saliency m2ib or leave it out.")
