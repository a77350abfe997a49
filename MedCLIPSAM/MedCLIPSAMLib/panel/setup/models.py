"""The models in Setup: where they are kept, whether each is here, and how it gets here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ...engine.errors import MedCLIPSAMError
from ...engine.models.catalogue import Entry, Role, entry_of, find_entry
from ...engine.models.location import VARIABLE, choose_folder, default_folder, folders_of_environment
from ...engine.models.store import Store
from ...engine.session.evidence import Progress
from ...engine.worker.messages import Answer, Download, Failure, Import, Request, Stored
from ..link import EngineLink
from ..menus import asked_file, asked_folder

ROLES: tuple[Role, ...] = get_args(Role)
_MEGA = 1_000_000


class ModelsFolder:
    """The folder in which models are kept, and the choice of another.

    Args:
        moved: told when the user has chosen one.
    """

    def __init__(self, ui: Any, moved: Callable[[], None]) -> None:
        self._button, self._label = ui.modelsFolderButton, ui.modelsFolderStateLabel
        self._moved = moved
        self._showing = False
        self._button.connect("directorySelected(QString)", self._selected)
        if folders_of_environment():
            self._button.enabled = False
            text = _("The environment variable {name} says where models are kept, and comes before a choice here.")
            self._button.toolTip = text.format(name=VARIABLE)
        self.show()

    def show(self) -> None:
        """Shows the folder as it is now; what cannot be read of the user's settings is told."""
        sentence = ""
        try:
            folder = Store().folders[0]
        except MedCLIPSAMError as error:
            folder, sentence = default_folder(), str(error)
        self._showing = True
        self._button.directory = str(folder)
        self._showing = False
        self._told(sentence)

    def _selected(self, folder: str) -> None:
        if self._showing:
            return
        try:
            choose_folder(Path(folder))
        except MedCLIPSAMError as error:
            self.show()
            self._told(str(error))
        else:
            self._moved()

    def _told(self, sentence: str) -> None:
        self._label.text = sentence
        self._label.visible = bool(sentence)


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
        entry = entry_of(self._value)
        if entry is None:
            path = Path(self._value.partition(":")[2] or self._value)
            return _("ready") if path.exists() else _("there is nothing at this path any more")
        if entry.built_in:
            return _("ready")
        state = _state_in_store(entry)
        if state == "not installed":
            if entry.can_be_downloaded:
                return _("not installed; download {size} MB, or import it").format(size=entry.megabytes)
            return _("not installed; get it {source}, and import it").format(source=entry.source)
        return {"ready": _("ready"), "damaged": _("damaged; import it again")}.get(state, state)

    def _told(self, text: str) -> None:
        entry = entry_of(self._value)
        busy = self._number is not None
        self._label.text = text
        self._import.enabled = not busy
        here = entry is None or not entry.can_be_downloaded or _state_in_store(entry) == "ready"
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
                entry = find_entry(name)
                if entry.role == self._role:
                    self._chosen(self._role, name)
                    self.show(name)
                else:
                    self._told(_("{title} is ready.").format(title=entry.title))
            case Failure(sentence):
                self.close()
                self._told(sentence)


def _state_in_store(entry: Entry) -> str:
    """As `Store.state`, or a sentence if the store cannot be found."""
    try:
        return Store().state(entry)
    except MedCLIPSAMError as error:
        return str(error)
