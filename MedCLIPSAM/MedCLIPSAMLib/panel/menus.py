"""The panel's menus: ready prompts, files of prompts, and what becomes of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import qt  # pyright: ignore[reportMissingImports]
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]

from ..engine.errors import InputError
from ..engine.prompt.library import STYLES, LibraryEntry, read_library
from ..engine.prompt.prompt import PromptSet
from ..scene.dicom.seg import can_export_dicom_seg, export_dicom_seg
from ..scene.files.replacing import write_text
from ..scene.files.saving import SUFFIXES, output_files, save, segment_names
from ..scene.geometry import bending_transform
from ..scene.segmentation.report import report_of
from .prompt_table import PromptTable
from .rows import Row

Guard = Callable[[Callable[[], None]], Callable[[], None]]


class Menus:
    """Fills the menus of the buttons, and does what is chosen.

    Args:
        nodes: gives the segmentation and the volume node, either of which may be None.
        guard: tells what goes wrong.
        tell: shows a sentence.
    """

    def __init__(
        self,
        ui: Any,
        table: PromptTable,
        nodes: Callable[[], tuple[Any, Any]],
        guard: Guard,
        tell: Callable[[str], None],
    ) -> None:
        self._ui, self._table, self._nodes, self._guard, self._tell = ui, table, nodes, guard, tell
        self._kept: list[Any] = []  # menus and actions live as long as somebody holds them
        self._library()
        files = self._menu(ui.fileButton)
        self._action(files, _("Read prompts..."), self.read_prompts)
        self._action(files, _("Write prompts..."), self.write_prompts)
        export = self._menu(ui.exportButton)
        self._action(export, _("Segmentation (NRRD, NIfTI)..."), self.export)
        dicom = self._action(export, _("DICOM SEG..."), self.export_dicom)
        # Other extensions may be installed or loaded later than this one.
        export.connect("aboutToShow()", lambda: setattr(dicom, "enabled", can_export_dicom_seg()))
        self._action(export, _("Report (text)..."), self.write_report)

    def read_prompts(self) -> None:
        """Adds the prompts of a file."""
        path = asked_file(qt.QFileDialog.getOpenFileName, self._ui.fileButton, _("Read prompts"), "Prompts (*.json)")
        if path is not None:
            try:
                text = path.read_bytes()
            except OSError as error:
                raise InputError(f"{path} cannot be read ({error.strerror}); choose another file.") from None
            self._table.add([Row.of(prompt) for prompt in PromptSet.from_json(text)])

    def write_prompts(self) -> None:
        """Writes all prompts into a file, which the command line can read, too."""
        prompts = self._table.rows.prompts()
        path = asked_file(qt.QFileDialog.getSaveFileName, self._ui.fileButton, _("Write prompts"), "Prompts (*.json)")
        if path is not None:
            self._write(path, ".json", prompts.to_json())

    def export(self) -> None:
        """Writes the segmentation as its file name says."""
        segmentation_node, volume_node = self._needed()
        kinds = "Segmentation (*.seg.nrrd *.nii.gz)"
        path = asked_file(qt.QFileDialog.getSaveFileName, self._ui.exportButton, _("Export"), kinds)
        if path is not None:
            path, asked = _with_ending(path, ".seg.nrrd", SUFFIXES)
            # The dialog has not asked about files that are named after the segments.
            asked = asked and output_files(path, segment_names(segmentation_node))[0] == path
            saved = save(segmentation_node, volume_node, path, force=asked)
            if saved.files:
                self._told(saved.files)
            if saved.left_out:
                names = ", ".join(saved.left_out)
                self._tell(
                    _("Not in {path}, which cannot hold empty segments: {names}.").format(path=path, names=names)
                )
            transform = bending_transform(segmentation_node)
            if transform is not None:
                text = _("{path} holds the voxels without the transform {name} above them; a saved scene keeps it.")
                self._tell(text.format(path=path, name=transform.GetName()))
            if saved.lost:
                names = ", ".join(saved.lost)
                self._tell(
                    _("{path} has less of {names} than was found: an earlier segment keeps what overlaps.").format(
                        path=path, names=names
                    )
                )

    def export_dicom(self) -> None:
        """Writes the segments as a DICOM segmentation object."""
        segmentation_node, volume_node = self._needed()
        folder = asked_folder(self._ui.exportButton, _("Folder for the DICOM SEG"))
        if folder is not None:
            self._told(export_dicom_seg(segmentation_node, volume_node, folder))

    def write_report(self) -> None:
        """Writes how each segment was made."""
        segmentation_node, _volume_node = self._needed()
        path = asked_file(qt.QFileDialog.getSaveFileName, self._ui.exportButton, _("Write report"), "Text (*.txt)")
        if path is not None:
            self._write(path, ".txt", report_of(segmentation_node))

    def _needed(self) -> tuple[Any, Any]:
        segmentation_node, volume_node = self._nodes()
        if segmentation_node is None or volume_node is None:
            raise InputError("There is no segmentation yet; segment a volume first.")
        return segmentation_node, volume_node

    def _write(self, path: Path, ending: str, text: str) -> None:
        path, asked = _with_ending(path, ending, (ending,))
        if path.exists() and not asked:
            raise InputError(f"{path} exists; type its whole name to replace it.")
        try:
            write_text(path, text)
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror}); choose another place.") from None
        self._told([path])

    def _told(self, files: Sequence[Path]) -> None:
        self._tell(_("Written: {files}").format(files=", ".join(str(file) for file in files)))

    def _library(self) -> None:
        names = {"word": _("single word"), "description": _("description"), "ensemble": _("several wordings")}
        top = self._menu(self._ui.libraryButton)
        for (modality, region), entries in groupby(read_library(), lambda entry: (entry.modality, entry.region)):
            menu = self._submenu(top, f"{modality} {region}")
            for entry in entries:
                title = _("{name} (needs {model})").format(name=entry.name, model=entry.needs)
                structure = self._submenu(menu, title if entry.needs else entry.name)
                for style in STYLES:
                    self._action(structure, names[style], self._adder(entry, style))

    def _adder(self, entry: LibraryEntry, style: Any) -> Callable[[], None]:
        return lambda: self._table.add([Row.of(entry.prompt(style))])

    def _menu(self, button: Any) -> Any:
        menu = qt.QMenu(button)
        button.setMenu(menu)
        self._kept.append(menu)
        return menu

    def _submenu(self, menu: Any, title: str) -> Any:
        submenu = menu.addMenu(title)
        self._kept.append(submenu)
        return submenu

    def _action(self, menu: Any, title: str, call: Callable[[], None]) -> Any:
        action = menu.addAction(title)
        action.connect("triggered()", self._guard(call))
        self._kept.append(action)
        return action


def asked_file(dialog: Callable[..., Any], parent: Any, title: str, kinds: str) -> Path | None:
    """The file that the user chose, None for none; PythonQt gives the path alone, others the filter beside it."""
    chosen = dialog(parent, title, "", kinds)
    path = chosen[0] if isinstance(chosen, tuple) else chosen
    return Path(str(path)) if path else None


def asked_folder(parent: Any, title: str) -> Path | None:
    """The folder that the user chose, None for none."""
    path = qt.QFileDialog.getExistingDirectory(parent, title)
    return Path(str(path)) if path else None


def _with_ending(path: Path, ending: str, known: Sequence[str]) -> tuple[Path, bool]:
    """A path with an ending, and whether it is what the dialog has asked about, should it exist."""
    if path.name.lower().endswith(tuple(known)):
        return path, True
    return path.with_name(path.name + ending), False
