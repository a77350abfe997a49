"""Pictures of the panel at work, beside the slice views that 3D Slicer's own displayable managers draw.

`make screenshots CT=FILE` takes them of a CT of the abdomen, without one of the MNI152 T1 template that comes with
nilearn, with the built-in models in the window of the panel's tests. What is outside of the panel and the views
(3D Slicer's menus, tool bars, view controllers) is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from Testing.host import application
from Testing.panel.desk import TEXT, Desk

_PANEL = 400  # pixels: as narrow as 3D Slicer's module panel gets in common use
_VIEW = 460
_GAP = 6
_DATA = "/home/researcher/.local/share"  # in place of the user's own: the panel shows where models are kept


@dataclass(frozen=True)
class Case:
    """What the pictures show.

    Attributes:
        prompts: of the rows of the table; the last is of what is not there.
        slice: part of the way from the first slice to the last.
        wording, contrast: more about the first prompt.
    """

    volume: Callable[[], Any]
    prompts: tuple[str, ...]
    slice: float
    wording: str
    contrast: str


class Screen:
    """The panel and two views of the same scene.

    Args:
        folder: for the pictures.
    """

    def __init__(self, folder: Path, case: Case) -> None:
        import slicer

        self._folder = folder
        self._app = application.start()
        from trame_slicer.views import SliceView, ThreeDView
        from trame_slicer.views.render_scheduler import NoScheduleRendering

        from MedCLIPSAMLib.scene.host import quiet

        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
        core = application.core()
        with quiet():  # VTK complains about the missing display before it finds another way to draw
            self._views = {
                name: kind(core.scene, core.app_logic, name, scheduled_render_strategy=NoScheduleRendering())
                for name, kind in (("Red", SliceView), ("Green", SliceView), ("View1", ThreeDView))
            }
        for name, orientation in (("Red", "Axial"), ("Green", "Coronal")):
            self._views[name].get_view_node().SetOrientation(orientation)
            self._views[name].set_mapped_in_layout(True)
        self.desk = Desk(self._app, case.volume())
        for name in ("Red", "Green"):
            self._views[name].set_background_volume_id(self.desk.volume.GetID())
            self._views[name].fit_view_to_content()  # goes to the middle slice, too

    def shoot(self, name: str, views: tuple[str, str] = ("Red", "Green")) -> None:
        """Writes ``NAME.png``: the panel at its full height, and the views beside it."""
        panel = self._grab()
        height = (len(panel) - _GAP) // 2
        shown = [self._drawn(view, height) for view in views]
        gap = np.full((_GAP, _VIEW, 3), 60, np.uint8)
        column = np.vstack([shown[0], gap, shown[1]])
        column = np.vstack([column, np.full((len(panel) - len(column), _VIEW, 3), 60, np.uint8)])
        beside = np.full((len(panel), _GAP, 3), 60, np.uint8)
        path = self._folder / f"{name}.png"
        Image.fromarray(np.hstack([panel, beside, column])).quantize(256).save(path)
        print(path)

    def darken(self) -> None:
        """As in 3D Slicer's dark style."""
        import qt  # pyright: ignore[reportMissingImports]

        palette, group = qt.QPalette(), qt.QPalette
        for roles, grey in (
            ((group.Window, group.Button), 50),
            ((group.Base, group.ToolTipBase), 35),
            ((group.AlternateBase,), 42),
            ((group.WindowText, group.Text, group.ButtonText, group.ToolTipText), 235),
            ((group.Mid,), 110),
            ((group.Dark,), 30),
        ):
            for role in roles:
                palette.setColor(role, qt.QColor(grey, grey, grey))
        for role in (group.WindowText, group.Text, group.ButtonText):
            palette.setColor(group.Disabled, role, qt.QColor(125, 125, 125))
        self._app.setPalette(palette)
        self.desk.panel.refresh()

    def _grab(self) -> np.ndarray:
        """(H, 400, 3) uint8."""
        import qt  # pyright: ignore[reportMissingImports]

        window = self.desk.widget.parent
        window.resize(_PANEL, 400)
        for _ in range(3):  # a label that wraps has its height only after it has its width
            self._app.processEvents()
            window.resize(_PANEL, max(window.sizeHint.height(), window.layout().heightForWidth(_PANEL)))
        image = window.grab().toImage().convertToFormat(qt.QImage.Format_RGB888)
        width, height = image.width(), image.height()
        lines = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
        return lines[:, : 3 * width].reshape(height, width, 3).copy()

    def _drawn(self, name: str, height: int) -> np.ndarray:
        """(height, 460, 3) uint8."""
        from MedCLIPSAMLib.scene.views.render import picture

        view = self._views[name]
        view.render_window().SetSize(_VIEW, height)
        view.update_size(_VIEW, height)
        if name == "View1":
            view.fit_view_to_content()
        else:
            offset = view.get_view_node().GetSliceOffset()
            view.fit_view_to_content()  # which also goes to the middle slice
            view.get_view_node().SetSliceOffset(offset)
        return picture(view)


def _ct(path: Path) -> Case:
    from MedCLIPSAMLib.scene.volumes import read_volume

    def windowed() -> Any:
        node = read_volume(path)
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(350, 40)  # soft tissue
        return node

    prompts = ("liver", "spleen", "kidneys", "aorta", "stomach", "brain")
    return Case(windowed, prompts, 0.55, "hepatic parenchyma", "spleen")


def _head() -> Case:
    from nilearn.datasets import load_mni152_template

    from MedCLIPSAMLib.scene.volumes import read_volume

    def template() -> Any:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "MNI152 T1.nii.gz"
            load_mni152_template(resolution=2).to_filename(path)
            return read_volume(path)

    return Case(template, ("brain", "liver"), 0.43, "a T1 MRI of the brain", "skull")


def _states(screen: Screen, case: Case) -> None:
    import slicer

    desk = screen.desk
    ui, panel = desk.ui, desk.panel
    logic = desk.widget.logic
    logic.missingPackages = lambda: ["torch>=2.4", "open_clip_torch>=2.29"]
    desk.widget.packages.show()
    screen.shoot("setup")
    del logic.missingPackages
    desk.widget.packages.show()

    for number, prompt in enumerate(case.prompts):
        desk.type(number, prompt)
    ui.promptTable.setCurrentCell(0, TEXT)
    slices = len(panel.asking().closed_stack())
    desk.look_at(round(case.slice * (slices - 1)))
    ui.detailsCollapsibleButton.collapsed = False
    ui.wordingsEdit.setPlainText(case.wording)
    ui.contrastEdit.setPlainText(case.contrast)
    screen.shoot("prompts")
    ui.wordingsEdit.setPlainText("")
    ui.contrastEdit.setPlainText("")
    ui.detailsCollapsibleButton.collapsed = True

    seen = desk.preview()
    screen.shoot("preview")
    (roi,) = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    roi.SetSize(roi.GetSize()[0], roi.GetSize()[1] * 0.6, roi.GetSize()[2])
    desk.wait(lambda: desk.evidence is not seen and not panel.preview.busy)
    screen.shoot("box")
    ui.hideButton.click()
    ui.promptTable.setCurrentCell(len(case.prompts) - 1, TEXT)
    desk.preview()
    screen.shoot("not-here")
    ui.hideButton.click()

    ui.segmentButton.click()
    desk.wait(lambda: len(panel.run._drawn) >= 2 * slices // 3, 600)
    screen.shoot("run")
    ui.cancelButton.click()
    screen.shoot("cancelled")
    ui.discardButton.click()
    ui.segmentButton.click()
    desk.wait(lambda: not panel.run.running, 1800)
    ui.promptTable.setCurrentCell(0, TEXT)
    ui.show3DButton.click()
    screen.shoot("result", ("Red", "View1"))
    ui.promptTable.setCurrentCell(len(case.prompts) - 2, TEXT)
    ui.unsureButton.click()
    desk.wait(lambda: not panel.review.measuring, 600)
    for _ in range(3):
        ui.nextUnsureButton.click()
    screen.shoot("review")
    ui.promptTable.setCurrentCell(0, TEXT)
    desk.look_at(round(case.slice * (slices - 1)))
    screen.darken()
    screen.shoot("result-dark", ("Red", "View1"))


def main(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")] = Path(
        "Resources/Screenshots"
    ),
    ct: Annotated[Path | None, typer.Option("--ct", metavar="FILE", help="CT of an abdomen to show.")] = None,
) -> None:
    """Take all pictures anew."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_DATA_HOME"] = _DATA
    case = _head() if ct is None else _ct(ct)
    _states(Screen(out, case), case)


if __name__ == "__main__":
    typer.run(main)
