"""`medclipsam demo`: the whole chain on real MRs that come with packages, with pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .. import options
from ..chain import open_session, read_source, run_prompts
from ..console import stderr, stdout
from ..files import check_folder, new_files
from ..progress import Stopwatch
from ..report import make_report, print_results
from ..request import read_prompts, read_settings

if TYPE_CHECKING:
    from ...engine.session.session import Session
    from ...engine.session.settings import Settings
    from ...scene.run import Result

_PROMPTS = ("brain", "liver")  # the second one is not there, and must be reported so
# What is asked of a slice of an abdomen; the last three are not there.
_ORGANS = ("liver", "spleen", "left kidney", "right kidney", "vertebra", "brain", "heart", "uterus")
_ABDOMEN = "examples_overlay.dcm"  # of pydicom 3
_MILLIMETRES = 2
_PICTURES = 8


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("output/demo"),
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
) -> None:
    """Segment the MNI152 T1 template of nilearn by the words "brain" and, to see it refused, "liver".

    Then organs are looked for on an MR of an abdomen that pydicom carries, and what is not there.
    """
    prompts = read_prompts(_PROMPTS, None, None, None)
    settings = read_settings(axis="auto", window=None, precision=precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    check_folder(out, force=True)

    console, watch = stderr(), Stopwatch(stderr())
    with new_files(out) as folder:
        volume = folder / "mni152_t1.nii.gz"
        with watch.stage("unpacking", "Unpacking the MNI152 template"):
            reference = _unpack(volume)
        source = read_source(volume, "MR", watch)
        session = open_session(source, prompts, "quickstart", "lite-medsam", device, settings, watch)
        outcome = run_prompts(session, source, prompts, range(len(session.stack)), console, watch)
        if outcome.failure is not None:
            raise outcome.failure
        results, node = outcome.results, outcome.segmentation_node

        from ...scene.files.saving import save

        with watch.stage("saving", "Saving"):
            saved = save(node, source.node, folder / "mni152_t1.seg.nrrd")
        with watch.stage("pictures", "Drawing pictures"):
            _draw(source.node, node, results[0], folder)
        told = _organs(session, settings, folder, watch)
        written = [out / file.name for file in sorted(folder.iterdir())]

    from ...engine.evaluate import score
    from ...scene.remarks import how_read
    from ...scene.segmentation.segments import read_segment

    saved = replace(saved, files=tuple(written))
    account = make_report(out / volume.name, session, results, saved, watch.seconds, how_read(source.node))
    print_results(account, stdout())
    mask = read_segment(node, source.node, results[0].segment_id)
    dice = score(mask, reference, source.volume.spacing).dice
    stdout().print(f"Dice of brain against the brain mask of nilearn: {dice:.3f}")
    if told:
        stdout().print(f"On an MR of an abdomen (organs.png): {', '.join(told)}", soft_wrap=True)


def _organs(session: Session, settings: Settings, folder: Path, watch: Stopwatch) -> list[str]:
    """What is found on a slice of an abdomen and what not, side by side in `organs.png`; "liver: found" and so on.

    Nothing with a pydicom that does not carry it.
    """
    from pydicom.data import get_testdata_file

    from ...engine.prompt.prompt import Prompt
    from ...engine.session.session import Session
    from ..pictures import SlicePicture, draw_overview

    carried = get_testdata_file(_ABDOMEN, download=False)
    if not isinstance(carried, str):
        return []
    file = folder / "abdomen_mr.dcm"
    shutil.copyfile(carried, file)
    source = read_source(file, None, watch)
    told, pictures = [], []
    with watch.stage("organs", "Looking for organs"):
        look = Session(source.volume, session.clip, session.segmenter, settings)
        for name in _ORGANS:
            seen = look.preview(0, Prompt(name, (name,)))
            told.append(f"{name} {seen.verdict}")
            pictures.append(SlicePicture.of(look, seen, f"{name}: {seen.verdict}, {seen.score:.2f}"))
        draw_overview(
            "MR of an abdomen. Colour: where the model looks; blue: box; green: mask; number: presence",
            pictures,
            folder / "organs.png",
        )
    return told


def _draw(volume_node: Any, segmentation_node: Any, brain: Result, folder: Path) -> None:
    """Slices with overlays, and the brain in 3D where it was found."""
    from ...scene.views.render import render_3d, render_slices

    numbers = [part.index for part in brain.slices if part.found] or [part.index for part in brain.slices]
    render_slices(volume_node, segmentation_node, "axial", _spread(numbers), folder / "slices.png")
    if brain.found:
        render_3d(segmentation_node, folder / "view3d.png")


def _unpack(path: Path) -> np.ndarray:
    """Write the template to `path`; (K, J, I) bool brain mask."""
    import nibabel
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    nibabel.save(load_mni152_template(resolution=_MILLIMETRES), path)
    mask: Any = load_mni152_brain_mask(resolution=_MILLIMETRES)
    return np.asarray(mask.dataobj).T.astype(bool)


def _spread(numbers: list[int]) -> list[int]:
    """A few of `numbers`, evenly spread between, and not at, the ends."""
    steps = np.linspace(0, len(numbers) - 1, _PICTURES + 2)[1:-1]
    return [numbers[step] for step in np.unique(np.rint(steps).astype(int))]
