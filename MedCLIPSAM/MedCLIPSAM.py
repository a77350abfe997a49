"""MedCLIP-SAM: type a prompt, get a segment. What 3D Slicer loads; all work is done in MedCLIPSAMLib.

Annotations are not postponed here (no `from __future__ import annotations`): parameterNodeWrapper reads them.
"""

# ruff: noqa: PT009, PT027 - the self-test is a unittest, because 3D Slicer has no pytest

import logging
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]
from slicer.i18n import translate  # pyright: ignore[reportMissingImports]
from slicer.parameterNodeWrapper import parameterNodeWrapper  # pyright: ignore[reportMissingImports]
from slicer.ScriptedLoadableModule import (  # pyright: ignore[reportMissingImports]
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Only what runs before the Python packages are installed; all else is imported where it is used.
from MedCLIPSAMLib.engine.errors import Cancelled, MedCLIPSAMError
from MedCLIPSAMLib.scene.packages import install_packages, missing_packages, outdated_packages


class MedCLIPSAM(ScriptedLoadableModule):
    """The module's entry in 3D Slicer."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedCLIP-SAM")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "Terminologies", "Volumes"]
        parent.contributors = ["MedCLIP-SAM for 3D Slicer contributors"]
        parent.helpText = _(
            "Segments a CT or MR volume from a typed prompt, such as <i>liver</i>: the text becomes a map of "
            "where the model sees it, the map a box on each slice, and each box a mask. "
            "For research only, not for clinical use."
        )
        parent.acknowledgementText = _(
            "Please cite MedCLIP-SAMv2 (Koleilat et al., arXiv:2409.19483) and MedCLIP-SAM (Koleilat et al., "
            "MICCAI 2024), BiomedCLIP (Zhang et al., arXiv:2303.00915), M2IB (Wang et al., NeurIPS 2023), "
            "Segment Anything (Kirillov et al., ICCV 2023) and MedSAM (Ma et al., Nature Communications 2024)."
        )


@parameterNodeWrapper
class MedCLIPSAMParameterNode:
    """What the user chose; saved with the scene.

    Attributes:
        volume: to segment.
        prompt: as typed, "liver" or "NAME=wording; wording".
        segmentation: for the result; a new one is made if there is none, or if it is of another volume.
    """

    volume: vtkMRMLScalarVolumeNode
    prompt: str
    segmentation: vtkMRMLSegmentationNode


class MedCLIPSAMWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self._parameters: Any = None
        self._guiTag: Any = None
        self._missing: list[str] = []
        self._outdated: list[str] = []
        self._running = False
        self._cancelled = False

    def setup(self) -> None:
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedCLIPSAM.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedCLIPSAMLogic()

        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self.ui.installButton.connect("clicked(bool)", self.onInstall)
        self.ui.promptLineEdit.connect("returnPressed()", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.progressBar.visible = False
        self.showPackages()
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The widget is destroyed; a run stops."""
        self._cancelled = True
        self.setParameterNode(None)
        self.removeObservers()
        self.logic.closeSession()

    def enter(self) -> None:
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """The user leaves the module."""
        if not self._running:
            self.setParameterNode(None)

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """The nodes are about to go: stop using them."""
        self._cancelled = True
        self.setParameterNode(None)
        self.logic.closeSession()

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """Begin anew in the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Use the scene's parameter node, with the first volume chosen if none is."""
        self.setParameterNode(self.logic.getParameterNode())
        firstVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        if self._parameters.volume is None and firstVolume is not None:
            self._parameters.volume = firstVolume

    def setParameterNode(self, parameters: Any) -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self.removeObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self._parameters = parameters
        if self._parameters is not None:
            self._guiTag = self._parameters.connectGui(self.ui)
            self.addObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self.updateButtons()

    def updateButtons(self, caller: Any = None, event: Any = None) -> None:
        """Offer what can be done now."""
        parameters = self._parameters
        chosen = parameters is not None and parameters.volume is not None and bool(parameters.prompt.strip())
        self.ui.inputsCollapsibleButton.enabled = not self._running
        self.ui.applyButton.enabled = chosen and not self._running and not (self._missing or self._outdated)
        self.ui.cancelButton.enabled = self._running
        self.ui.installButton.enabled = not self._running and not self._outdated

    def showPackages(self) -> None:
        """Say which Python packages are too old or missing; fold the section away when none is."""
        self._missing, self._outdated = self.logic.missingPackages(), self.logic.outdatedPackages()
        self.ui.setupCollapsibleButton.visible = bool(self._missing or self._outdated)
        if self._outdated:
            self.ui.statusLabel.text = _(
                "Python packages are too old: {names}. Update them by slicer.util.pip_install in the Python "
                "console, unless another extension needs them so, and restart 3D Slicer."
            ).format(names=", ".join(self._outdated))
        elif self._missing:
            self.ui.statusLabel.text = _("Python packages are missing: {names}. Press Install.").format(
                names=", ".join(self._missing)
            )

    def onInstall(self) -> None:
        """Install the missing packages."""
        self.ui.statusLabel.text = _("Installing Python packages; this can take some minutes...")
        slicer.app.processEvents()
        try:
            self.logic.installPackages()
            self.ui.statusLabel.text = _("The Python packages are installed.")
            self.showPackages()  # says so if some are still missing
        except Exception:  # pip's and the PyTorch extension's own, of many kinds
            logging.exception("Installing Python packages failed")
            self.ui.statusLabel.text = _("The Python packages could not be installed; see the error log.")
        self.updateButtons()

    def onCancel(self) -> None:
        """Stop the run after the slices at work."""
        self._cancelled = True
        self.ui.statusLabel.text = _("Cancelling...")

    def onApply(self) -> None:
        """Segment the volume."""
        if not self.ui.applyButton.enabled:  # Return pressed in the prompt line
            return
        self._running, self._cancelled = True, False
        self.ui.progressBar.visible = True
        self.updateButtons()
        try:
            self.ui.statusLabel.text = self.segment()
        except Cancelled:
            self.ui.statusLabel.text = _("Cancelled.")
        except MedCLIPSAMError as error:
            self.ui.statusLabel.text = str(error)
        except Exception:  # a bug, not the user's doing: the log has it whole
            logging.exception("MedCLIP-SAM failed")
            self.ui.statusLabel.text = _("Something went wrong; see the error log.")
        finally:
            self._running = False
            self.ui.progressBar.visible = False
            self.updateButtons()

    def segment(self) -> str:
        """Run the chain on what is chosen and say what was found."""
        parameters = self._parameters
        self.ui.statusLabel.text = _("Loading the models...")
        slicer.app.processEvents()
        parameters.segmentation = self.logic.segmentationFor(parameters.volume, parameters.segmentation)
        results = self.logic.process(
            parameters.volume, parameters.prompt, parameters.segmentation, self.onProgress, lambda: self._cancelled
        )
        texts = []
        for result in results:
            found = sum(part.found for part in result.slices)
            text = _("{name}: found on {found} of {slices} slices.") if found else _("{name}: not found.")
            if result.summary["taken_for"] == "":
                text += " " + _("The model was not trained to find it.")
            # The segment may be "liver 2", beside one that the user has changed.
            name = parameters.segmentation.GetSegmentation().GetSegment(result.segment_id).GetName()
            texts.append(text.format(name=name, found=found, slices=len(result.slices)))
        return " ".join(texts)

    def onProgress(self, progress: Any) -> None:
        """Show how far the run is, and let the window take part."""
        self.ui.progressBar.value = round(100 * progress.fraction)
        self.ui.statusLabel.text = _("{name}: {done} of {total} slices").format(
            name=progress.step.prompt, done=progress.step.done, total=progress.step.total
        )
        slicer.app.processEvents()


class MedCLIPSAMLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts too."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._models: Any = None
        self._session: Any = None
        self._sessionKey: Any = None
        self._removalObserver: Any = None

    def getParameterNode(self) -> Any:
        """The scene's parameter node, wrapped."""
        return MedCLIPSAMParameterNode(super().getParameterNode())  # pyright: ignore[reportCallIssue]

    def missingPackages(self) -> list[str]:
        """Python packages that have to be installed first."""
        from MedCLIPSAMLib.engine.resources import resource

        return missing_packages(resource("requirements.txt"))

    def outdatedPackages(self) -> list[str]:
        """Python packages that are there in a version too old, and which is needed."""
        from MedCLIPSAMLib.engine.resources import resource

        return outdated_packages(resource("requirements.txt"))

    def installPackages(self) -> None:
        """Install the missing packages, without touching those that 3D Slicer ships."""
        install_packages(self.missingPackages())

    def segmentationFor(self, volumeNode: Any, chosen: Any = None) -> Any:
        """The segmentation node `chosen` if it is of the volume or empty, else a new one on the volume's grid."""
        from MedCLIPSAMLib.scene.segments import belongs_to, create_segmentation

        usable = chosen is not None and belongs_to(chosen, volumeNode)
        return chosen if usable else create_segmentation(volumeNode)

    def process(
        self,
        volumeNode: Any,
        prompts: Any,
        segmentationNode: Any,
        progress: Callable[[Any], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Any]:
        """Segment prompts with the built-in models.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode.
            prompts: a prompt as typed, or a PromptSet of MedCLIPSAMLib.engine.prompt.
            segmentationNode: vtkMRMLSegmentationNode for the segments, such as `segmentationFor` gives.
            progress: called with MedCLIPSAMLib.scene.run.RunProgress every few slices.
            cancelled: asked every few slices whether to stop.

        Returns:
            A MedCLIPSAMLib.scene.run.Result for each prompt.

        Raises:
            MedCLIPSAMError: with a sentence for the user.
        """
        from MedCLIPSAMLib.engine.prompt import Prompt, PromptSet
        from MedCLIPSAMLib.scene.run import run

        if isinstance(prompts, str):
            prompts = PromptSet((Prompt.parse(prompts),))
        session = self._openSession(volumeNode)
        return run(session, volumeNode, prompts, segmentationNode, progress=progress, cancelled=cancelled)

    def closeSession(self) -> None:
        """Let go of the last volume and what was computed for it."""
        self._session = self._sessionKey = None
        if self._removalObserver is not None:
            slicer.mrmlScene.RemoveObserver(self._removalObserver)
            self._removalObserver = None

    def _openSession(self, volumeNode: Any) -> Any:
        """The session of the last volume while that is unchanged, so that a second prompt is quick."""
        from MedCLIPSAMLib.engine.session import Session
        from MedCLIPSAMLib.scene.volumes import volume_from_node

        volume = volume_from_node(volumeNode)
        key = (volumeNode.GetID(), volumeNode.GetImageData().GetMTime(), volume.ijk_to_ras.tobytes())
        if key != self._sessionKey:
            self.closeSession()
            self._session = Session(volume, *self._loadModels())
            self._sessionKey = key
            self._closeWithVolume()
        return self._session

    def _closeWithVolume(self) -> None:
        """Close the session when its volume is removed from the scene; the observer does not keep the logic alive."""
        logic, volumeId = weakref.ref(self), self._sessionKey[0]

        def onNodeRemoved(caller: Any, event: Any) -> None:
            living = logic()
            if living is not None and caller.GetNodeByID(volumeId) is None:
                living.closeSession()

        self._removalObserver = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeRemovedEvent, onNodeRemoved)

    def _loadModels(self) -> Any:
        from MedCLIPSAMLib.engine.clip.registry import load_clip
        from MedCLIPSAMLib.engine.sam.registry import load_segmenter

        if self._models is None:
            self._models = (load_clip("quickstart"), load_segmenter("lite-medsam"))
        return self._models


class MedCLIPSAMTest(ScriptedLoadableModuleTest):
    """Self-test: the chain on a small volume made on the spot."""

    def runTest(self) -> None:
        """Run all tests on an empty scene each."""
        for test in (self.test_segmentLandsOnItsVoxels, self.test_chain):
            slicer.mrmlScene.Clear()
            test()

    def test_segmentLandsOnItsVoxels(self) -> None:
        """A mask written for an oblique volume is read back on the same voxels."""
        if not self._packagesAreInstalled():
            return
        from MedCLIPSAMLib.scene.segments import create_segmentation, read_segment, write_segment

        volumeNode = self._volumeNode()
        mask = slicer.util.arrayFromVolume(volumeNode) > 0
        segmentationNode = create_segmentation(volumeNode)
        segmentId = write_segment(segmentationNode, volumeNode, mask, "liver")
        self.assertTrue(np.array_equal(read_segment(segmentationNode, volumeNode, segmentId), mask))
        self.delayDisplay("The segment covers the voxels of its mask.")

    def test_chain(self) -> None:
        """The chain runs from prompt to segment, found or not, and is cancelled when asked."""
        if not self._packagesAreInstalled():
            return
        volumeNode = self._volumeNode()
        logic = MedCLIPSAMLogic()
        segmentationNode = logic.segmentationFor(volumeNode)
        (result,) = logic.process(volumeNode, "liver", segmentationNode)
        self.assertEqual(segmentationNode.GetSegmentation().GetNthSegmentID(0), result.segment_id)
        with self.assertRaises(Cancelled):
            logic.process(volumeNode, "spleen", segmentationNode, cancelled=lambda: True)
        self.assertEqual(segmentationNode.GetSegmentation().GetNumberOfSegments(), 1)
        self.delayDisplay("The chain ran from prompt to segment.")

    def _packagesAreInstalled(self) -> bool:
        logic = MedCLIPSAMLogic()
        lacking = logic.missingPackages() + logic.outdatedPackages()
        if lacking:
            self.delayDisplay(f"Not tested: install these Python packages first: {', '.join(lacking)}.")
        return not lacking

    def _volumeNode(self) -> Any:
        """A CT-like oblique volume: a bright ellipsoid in air."""
        k, j, i = np.ogrid[-1:1:6j, -1:1:64j, -1:1:64j]
        array = np.where(k**2 + (j / 0.7) ** 2 + (i / 0.9) ** 2 < 0.8, 60, -1000).astype(np.int16)
        cos, sin = np.cos(0.3), np.sin(0.3)
        ijkToRas = np.array([[-5 * cos, 5 * sin, 0, 9], [-5 * sin, -5 * cos, 0, 8], [0, 0, 16, 7], [0, 0, 0, 1]])
        return slicer.util.addVolumeFromArray(array, ijkToRas, "ellipsoid")
