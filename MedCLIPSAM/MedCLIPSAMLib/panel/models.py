"""The models in Setup: whether each is here, and how it gets here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.evidence import Progress
from ..engine.models.catalogue import Role, catalogue
from ..engine.models.store import Store
from ..engine.worker.messages import Answer, Download, Failure, Import, Request, Stored
from .link import EngineLink
from .menus import asked_file, asked_folder

ROLES: tuple[Role, ...] = get_args(Role)
_MEGA = 1_000_000


class ModelRow:
    """The state of the model that is chosen for a role, and the buttons to import or download one.

    They have a process of their own, so that segmenting goes on meanwhile.

    Args:
        role: of the models that are offered; a model of another role that is imported is told, but not chosen.
        chosen: told the role and the name of a model that has arrived.
    """

    def __init__(self, role: Role, ui: Any, chosen: Callable[[str, str], None]) -> None:
        self._role: Role = role
        self._chosen = chosen
        self._label = getattr(ui, f"{role}StateLabel")
        self._import, self._download = getattr(ui, f"{role}ImportButton"), getattr(ui, f"{role}DownloadButton")
        self._link = EngineLink(self._ended)
        self._number: int | None = None  # of the request at work
        self._value = ""
        menu = qt.QMenu(self._import)
        self._kept = [menu, menu.addAction(_("File...")), menu.addAction(_("Folder..."))]
        self._kept[1].connect("triggered()", self._choose_file)
        self._kept[2].connect("triggered()", self._choose_folder)
        self._import.setMenu(menu)
        self._download.connect("clicked()", self._download_or_cancel)

    def show(self, value: str) -> None:
        """Tells the state of a model: its name in the catalogue, or a path."""
        self._value = value
        if self._number is None:
            self._told(self._state())

    def close(self) -> None:
        """Ends what is going on; a download goes on from there the next time."""
        self._number = None
        self._link.stop()

    def _ended(self, sentence: str) -> None:
        self._number = None
        self._told(sentence)

    def _state(self) -> str:
        entry = catalogue().get(self._value)
        if entry is None:
            path = Path(self._value.partition(":")[2] or self._value)
            return _("ready") if path.exists() else _("there is nothing at this path any more")
        state = Store().state(entry)
        if state == "not installed":
            if entry.can_be_downloaded:
                return _("not installed; download {size} MB, or import it").format(size=entry.megabytes)
            return _("not installed; get it {source}, and import it").format(source=entry.source)
        return {"built in": _("ready"), "ready": _("ready"), "damaged": _("damaged; import it again")}[state]

    def _told(self, text: str) -> None:
        entry = catalogue().get(self._value)
        busy = self._number is not None
        self._label.text = text
        self._import.enabled = not busy
        here = entry is None or not entry.can_be_downloaded or Store().state(entry) == "ready"
        self._download.enabled = busy or not here
        self._download.toolTip = _("Stop.") if busy else _("Download the chosen model from its publisher.")

    def _choose_file(self) -> None:
        kinds = "Models (*.safetensors *.bin *.pth *.pt *.zip)"
        self._import_from(asked_file(qt.QFileDialog.getOpenFileName, self._import, _("Model"), kinds))

    def _choose_folder(self) -> None:
        self._import_from(asked_folder(self._import, _("Folder of a model")))

    def _import_from(self, path: Path | None) -> None:
        if path is not None:
            self._ask(Import(str(path)), _("Importing {name}...").format(name=path.name))

    def _download_or_cancel(self) -> None:
        if self._number is not None:
            self.close()
            self.show(self._value)
        else:
            self._ask(Download(self._value), _("Connecting..."))

    def _ask(self, request: Request, text: str) -> None:
        self._number = self._link.ask(request, self._heard)
        self._told(text)

    def _heard(self, answer: Answer) -> None:
        match answer:
            case Progress(_name, _stage, here, total):
                text = _("Downloading: {here} of {total} MB")
                self._told(text.format(here=round(here / _MEGA), total=round(total / _MEGA)))
            case Stored(name):
                self.close()
                if catalogue()[name].role == self._role:
                    self._chosen(self._role, name)
                    self.show(name)
                else:
                    self._told(_("{title} is ready.").format(title=catalogue()[name].title))
            case Failure(sentence):
                self.close()
                self._told(sentence)
