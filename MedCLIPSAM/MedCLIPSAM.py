"""MedCLIP-SAM: type a prompt, get a segment. What 3D Slicer loads; all work is done in MedCLIPSAMLib.

Annotations are not postponed here (no `from __future__ import annotations`): parameterNodeWrapper reads them.
"""

# ruff: noqa: PT009, PT027 - the self-test is a unittest, because 3D Slicer has no pytest

import weakref
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _  # pyright: ignore[reportMissingImports]
from slicer.i18n import translate  # pyright: ignore[reportMissingImports]
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper  # pyright: ignore[reportMissingImports]
from slicer.ScriptedLoadableModule import (  # pyright: ignore[reportMissingImports]
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Only what runs before the Python packages are installed; all else is imported where it is used.
from MedCLIPSAMLib.engine.errors import Cancelled
from MedCLIPSAMLib.panel.setup.packages import PackagesPart
from MedCLIPSAMLib.scene.packages import install_packages, missing_packages, outdated_packages
from MedCLIPSAMLib.scene.parameter_sets import wrapped
from MedCLIPSAMLib.scene.samples import register_samples


class MedCLIPSAM(ScriptedLoadableModule):
    """The module's entry in 3D Slicer."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedCLIP-SAM")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = [
            *("Markups", "Segmentations", "Sequences", "SubjectHierarchy", "Terminologies", "Volumes"),
        ]
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
        slicer.app.connect("startupCompleted()", register_samples)


@parameterNodeWrapper
class MedCLIPSAMParameterNode:
    """What the user chose; saved with the scene.

    Attributes:
        volume: to segment; in grey, or a picture in colour.
        segmentation: for the result; a new one is made if there is none.
        roi: nothing is looked for outside of it.
        wholeVolume, first, last: slices to search.
        rows: the prompt table as JSON, see MedCLIPSAMLib.panel.rows.
        axis, window, clip, saliency, segmenter, device: values of MedCLIPSAMLib.panel.choices.
        follow: preview again when another slice comes into view.
        opacity: of the heat map.
        showUnsure, unsureOpacity: whether, and how, it is seen in the views where a segment is not sure.
    """

    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    roi: vtkMRMLMarkupsROINode
    wholeVolume: bool = True
    first: Annotated[int, WithinRange(0, 99999)] = 0
    last: Annotated[int, WithinRange(0, 99999)] = 99999
    rows: str
    axis: str = "auto"
    window: str = "automatic"
    clip: str = "quickstart"
    saliency: str = "automatic"
    segmenter: str = "lite-medsam"
    device: str = "auto"
    follow: bool = False
    opacity: Annotated[float, WithinRange(0, 1)] = 0.4
    showUnsure: bool = True
    unsureOpacity: Annotated[float, WithinRange(0, 1)] = 0.6


class MedCLIPSAMWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel: what is here is the module's life in 3D Slicer, all else is in MedCLIPSAMLib.panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self.panel: Any = None  # there are none while Python packages are missing
        self._parameters: Any = None
        self._guiTag: Any = None

    def setup(self) -> None:
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedCLIPSAM.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        selector = self.ui.parameterSetSelector
        selector.addAttribute("vtkMRMLScriptedModuleNode", "ModuleName", self.moduleName)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self.onParameterSetChanged)
        self.logic = MedCLIPSAMLogic()
        self.packages = PackagesPart(self.ui, self.logic, self.makePanel)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.addObserver(scene, scene.StartSaveEvent, self.onSceneStartSave)
        self.addObserver(scene, scene.EndSaveEvent, self.onSceneEndSave)
        self.packages.show()
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The widget is destroyed, and the engine's process ends with it."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
        self.logic.closeSession()

    def enter(self) -> None:
        """The user opens the module."""
        if self._parameters is None:
            self.initializeParameterNode()
        self.chooseVolume()
        if self.panel is not None:
            self.panel.entered = True

    def exit(self) -> None:
        """The user goes to another module: a preview stays, but follows no more."""
        if self.panel is not None:
            self.panel.entered = False

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """The nodes are about to go, and so does the engine's process."""
        self.setParameterNode(None)
        if self.panel is not None:
            self.panel.link.stop()
        self.logic.closeSession()

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """Begin anew in the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartSave(self, caller: Any, event: Any) -> None:
        """A preview is not part of the scene, and the views are saved as they are without it."""
        if self.panel is not None:
            self.panel.slice_part.hide()
            self.panel.review.put_away()

    def onSceneEndSave(self, caller: Any, event: Any) -> None:
        """Where a segment is not sure is seen again."""
        if self.panel is not None:
            self.panel.refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller: Any, event: Any, node: Any) -> None:
        """A run does not go on without its volume or segmentation."""
        if self.panel is not None and self._parameters is not None:
            self.panel.nodeRemoved(node)

    def initializeParameterNode(self) -> None:
        """Use the parameter set of the scene."""
        parameters = self.logic.getParameterNode()
        self.ui.parameterSetSelector.setCurrentNode(parameters.parameterNode)
        if self._parameters is None:  # it was chosen there already
            self.setParameterNode(parameters)
        self.chooseVolume()

    def chooseVolume(self) -> None:
        """Choose the first volume of the list if none is."""
        if self._parameters is not None and self._parameters.volume is None:
            self._parameters.volume = self.ui.volumeSelector.nodeFromIndex(0)

    def onParameterSetChanged(self, node: Any) -> None:
        """The user chose another parameter set, or removed the last one."""
        self.setParameterNode(None if node is None else wrapped(node, MedCLIPSAMParameterNode))

    def setParameterNode(self, parameters: Any) -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self.removeObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameters = parameters
        if self._parameters is not None:
            # Not connectGui: in some versions of 3D Slicer it gives no tag, and no set could be left again.
            self._guiTag = self._parameters.connectParametersToGui(self._boundWidgets())
            # To bind a list limits it to the class of the parameter; pictures in colour are of one below it.
            self.ui.volumeSelector.nodeTypes = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
            self.ui.volumeSelector.setCurrentNode(self._parameters.volume)
            self.addObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.onParametersModified()

    def _boundWidgets(self) -> dict[str, Any]:
        """The widgets that show a parameter, by its name."""
        bound = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
        return {name: widget for name, widget in bound.items() if name}

    def onParametersModified(self, caller: Any = None, event: Any = None) -> None:
        """Show what is chosen now."""
        if self.panel is not None:
            self.panel.show(self._parameters)

    def makePanel(self) -> None:
        """Make what needs the Python packages, once they are there.

        Raises:
            ImportError: one of them cannot be imported.
        """
        if self.panel is None:
            from MedCLIPSAMLib.panel.panel import Panel

            self.panel = Panel(self.ui)
            self.panel.show(self._parameters)


class MedCLIPSAMLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts too."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._models: Any = None
        self._session: Any = None
        self._sessionKey: Any = None
        self._removalObserver: Any = None

    def getParameterNode(self) -> Any:
        """The scene's own parameter set, wrapped; users may make others beside it."""
        return wrapped(super().getParameterNode(), MedCLIPSAMParameterNode)

    def missingPackages(self) -> list[str]:
        """Python packages that have to be installed first."""
        from MedCLIPSAMLib.engine.files.resources import resource

        return missing_packages(resource("requirements.txt"))

    def outdatedPackages(self) -> list[str]:
        """Python packages that are there in a version too old, and which is needed."""
        from MedCLIPSAMLib.engine.files.resources import resource

        return outdated_packages(resource("requirements.txt"))

    def installPackages(self) -> list[str]:
        """Install the missing packages, without touching those that 3D Slicer ships.

        Returns:
            Packages that are in use in another version until 3D Slicer is restarted.
        """
        return install_packages(self.missingPackages())

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
            segmentationNode: vtkMRMLSegmentationNode for the segments, such as `segmentation_for` of
                MedCLIPSAMLib.scene.segmentation.segments gives.
            progress: called with MedCLIPSAMLib.scene.run.RunProgress every few slices.
            cancelled: asked every few slices whether to stop.

        Returns:
            A MedCLIPSAMLib.scene.run.Result for each prompt.

        Raises:
            MedCLIPSAMError: with a sentence for the user.
        """
        from MedCLIPSAMLib.engine.prompt.prompt import Prompt, PromptSet
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
        from MedCLIPSAMLib.engine.session.session import Session
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
        from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation, read_segment, write_segment

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
        from MedCLIPSAMLib.scene.segmentation.segments import create_segmentation

        volumeNode = self._volumeNode()
        logic = MedCLIPSAMLogic()
        segmentationNode = create_segmentation(volumeNode)
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
