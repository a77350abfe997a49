"""What the engine has to have open: a volume as it is now, cut in a way, and the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.errors import InputError
from ..engine.session.settings import Settings
from ..engine.volume import WINDOWS, SliceStack, Volume, Window
from ..engine.worker.messages import Answer, Failure, Open, Opened
from ..scene.segmentation.provenance import ModelUse
from ..scene.segmentation.results import Chain
from ..scene.sequences import frame_of
from ..scene.volumes import volume_from_node
from .link import EngineLink

AUTOMATIC, DISPLAYED = "automatic", "displayed"  # windows beside those of `WINDOWS`; the first a saliency method, too


@dataclass(frozen=True)
class VolumeChoice:
    """Which volume, along which axis, in which window of intensities, with which models and saliency method.

    All are as the panel stores them.
    """

    volume_node: Any
    axis: str
    window: str
    clip: str
    saliency: str
    segmenter: str
    device: str

    def settings(self) -> Settings:
        """Those of a session.

        Raises:
            InputError: the window of the display is asked for, and there is none.
        """
        window = WINDOWS.get(self.window)
        if self.window == DISPLAYED:
            display = self.volume_node.GetScalarVolumeDisplayNode()
            if display is None:
                raise InputError(f"{self.volume_node.GetName()} is not displayed; choose another window.")
            middle, width = display.GetLevel(), display.GetWindow()
            window = Window(middle - width / 2, middle + width / 2)
        saliency = None if self.saliency == AUTOMATIC else self.saliency
        return Settings(axis=self.axis, window=window, saliency=saliency)  # type: ignore[arg-type]  # checked there


def slices_remark(stack: SliceStack) -> str:
    """Along which axis a volume is cut and why, "" if a person chose it."""
    sentences = {
        "trained": _("Slices are {plane}, which the models know best."),
        "thick": _("Slices are {plane}, as they were acquired: they are more than twice as far apart as their pixels."),
        "single": _("The only slice is {plane}."),
        "asked": "",
    }
    planes = {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}
    return sentences[stack.reason].format(plane=planes[stack.plane])


def contrast_remark(opened: Opened | None) -> str:
    """Why a picture is shown with more contrast than it has; "" if it is not."""
    if opened is None or opened.choices.get("window_because") != "contrast":
        return ""
    return _("It is taken for a CT saved with air and bone in it, and shown to the models with more contrast.")


class OpenedVolume:
    """Keeps the engine open on what was chosen last; opens it again only when something has changed.

    Attributes:
        stack: the slices of the volume that was chosen.
        answer: what the engine said of it; None until it has.
        frame: number and count, where the volume showed a frame of a sequence when it was opened.
    """

    def __init__(self, link: EngineLink) -> None:
        self._link = link
        self._key: Any = None
        self._loads_again = False
        self.stack: SliceStack | None = None
        self.answer: Opened | None = None
        self.frame: tuple[int, int] | None = None

    def need(self, choice: VolumeChoice, failed: Callable[[str], None]) -> SliceStack:
        """Lets the engine open a choice, before all that is asked of it from now on.

        Args:
            failed: told a sentence if it cannot; what was asked after it then fails, too.

        Raises:
            InputError: the volume cannot be used.
        """
        volume = volume_from_node(choice.volume_node)
        settings = choice.settings()
        if self._loads_again:
            self._loads_again = False
            self._link.stop()
        key = (
            *(choice.volume_node.GetID(), choice.volume_node.GetImageData().GetMTime(), volume.ijk_to_ras.tobytes()),
            *(settings, choice.clip, choice.segmenter, choice.device),
        )
        if key != self._key or self.stack is None or not self._link.running:
            self._open(volume, choice, settings, failed)
            self._key = key
        return self.stack  # type: ignore[return-value]  # made by `_open`

    @property
    def chain(self) -> Chain:
        """What results are made with.

        Raises:
            InputError: nothing is open.
        """
        if self.answer is None:
            raise InputError("No volume is open in the engine; preview a slice or segment the volume first.")
        frame = {} if self.frame is None else {"frame": self.frame[0]}
        return Chain(tuple(ModelUse(*model) for model in self.answer.models), self.answer.choices | frame)

    def forget(self) -> None:
        """Opens anew next time."""
        self._key = self.stack = self.answer = None

    def load_again(self) -> None:
        """Models of the same names may be others now: the next need begins with a new process."""
        self._loads_again = True

    def _open(self, volume: Volume, choice: VolumeChoice, settings: Settings, failed: Callable[[str], None]) -> None:
        self.forget()
        self.frame = frame_of(choice.volume_node)
        stack = SliceStack(volume, settings.axis)

        def heard(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self.answer = answer
            elif isinstance(answer, Failure):
                self.forget()
                failed(answer.sentence)

        self._link.ask(Open.of(volume, choice.clip, choice.segmenter, choice.device, settings), heard)
        self.stack = stack
