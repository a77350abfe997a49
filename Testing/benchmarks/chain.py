"""What the whole chain costs on volumes: absent slices, changes of box and words, second prompts, memory, length."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MedCLIPSAMLib.engine.clip.base import ImageTextModel
from MedCLIPSAMLib.engine.clip.dual import DualEncoder
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.session.settings import Settings

from .figures import Figure, at_least, at_most, has_amx, plot_cost
from .materials import aim, large_volume, lite_medsam_as_it_comes, nothing_kept
from .saliency import seconds

_PRESENT = 0.4  # of the slices of a volume have the target


def absent_slices(model: DualEncoder, textbook_s: float, slices: int) -> list[Figure]:
    """A volume in default settings against the textbook on every slice, which is measured on one and multiplied."""
    volume, _ = large_volume(slices)
    segmenter, plain = load_segmenter("lite-medsam", "cpu"), lite_medsam_as_it_comes()
    session = Session(volume, model, segmenter)
    _aim_at_part(model, session)
    embedding_s, _ = seconds(plain.embed, session._viewer.pictures([slices // 2], plain.image_size))
    session = Session(volume, model, segmenter)
    ours_s, evidence = seconds(session.segment, Prompt("target", ("target",)))
    looked_at = sum("information" in part.clues for part in evidence.slices)
    ratio = slices * (textbook_s + embedding_s) / ours_s
    what = f"{slices} slices of 512 x 512, BiomedCLIP's size, {'bf16' if has_amx() else 'fp32'}, M2IB on {looked_at}"
    return [
        at_least(f"{what}: textbook on every slice / ours", ratio, 50),
        Figure(f"{what}: ours", ours_s, None, None, "s"),
        *(Figure(f"  of it {stage}", spent, None, None, "s") for stage, spent in evidence.seconds.items()),
    ]


def _aim_at_part(model: DualEncoder, session: Session) -> None:
    count = len(session.stack)
    target = range(int(count * 0.3), int(count * (0.3 + _PRESENT)))
    aim(model, lambda indices: session._viewer.pictures(indices, model.image_size), count, target)


def edits(model: DualEncoder, slices: int) -> list[Figure]:
    """A changed box and a changed word on a slice that was looked at."""
    volume, text = large_volume(100)
    segmenter, clip = load_segmenter("lite-medsam", "cpu"), load_clip("quickstart", "cpu")
    prompt = Prompt(text, (text,))
    whole = Session(volume, clip, segmenter)
    _aim_at_part(model, whole)
    shown = [index for index in range(35, 70, 3) if whole.preview(index, prompt).found][-slices:]

    def ratio(image_text: ImageTextModel) -> tuple[float, float]:
        session = Session(volume, image_text, segmenter)
        ratios, taken = [], []
        for index in shown:
            first_s, seen = seconds(session.preview, index, prompt)
            box = seen.boxes[:1] if len(seen.boxes) else np.array([[100.0, 100, 300, 300]])
            changed_s, _ = seconds(session.edit, index, prompt, box + np.array([3, 2, -3, 4]))
            ratios.append(first_s / changed_s)
            taken.append(changed_s)
        return float(np.median(ratios)), float(np.median(taken))

    (built_in, changed_box_s), (published, _) = ratio(clip), ratio(model)
    session = Session(volume, model, segmenter)
    session.preview(shown[0], prompt, quick=True)
    words = ("liver", "hepatic parenchyma", "the liver on an abdominal ct")
    changed = [seconds(session.preview, shown[0], Prompt("x", (word,)), quick=True)[0] for word in words]
    return [
        at_least("first preview / changed box, built-in models", built_in, 30),
        Figure("changed box, built-in models", changed_box_s, None, None, "s"),
        at_least("first preview (M2IB) / changed box, BiomedCLIP's size", published, 30),
        at_most("changed word, quick preview, BiomedCLIP's size", float(np.median(changed)), 1.0, "s"),
    ]


def whole_chain(slices: int) -> list[Figure]:
    """Two prompts on a large CT with the built-in models, and the same chain with nothing kept from slice to slice."""
    volume, text = large_volume(slices)
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    plain = Session(volume, clip, lite_medsam_as_it_comes(), Settings(slicewise=True, precision="fp32"))

    def slice_by_slice() -> None:
        for index in range(0, slices, 4):
            nothing_kept(plain)._looker._queries.clear()
            plain.preview(index, Prompt(text, (text,)))

    every_fourth_s, _ = seconds(slice_by_slice)
    found = []
    for precision in ("fp32", "bf16") if has_amx() else ("fp32",):
        session = Session(volume, clip, segmenter, Settings(precision=precision))
        first_s, evidence = seconds(session.segment, Prompt(text, (text,)))
        second_s, _ = seconds(session.segment, Prompt("second", (f"the {text} of this patient",)))
        masked = sum(part.found for part in evidence.slices)
        what = f"{text}, 512 x 512 x {slices}, built-in models, {precision}"
        found += [
            at_least(f"{what}: slice by slice in fp32 / ours (found on {masked})", 4 * every_fourth_s / first_s, 4),
            Figure(f"{what}: ours", first_s, None, None, "s"),
            *(Figure(f"  of it {stage}", spent, None, None, "s") for stage, spent in evidence.seconds.items()),
            at_most(f"second prompt / first, {precision}", second_s / first_s, 0.5, ""),
        ]
    return found


def memory(slices: int) -> list[Figure]:
    """Peak over what the process holds when the models are loaded, volume included, in a process of its own."""
    command = [sys.executable, "-m", f"{__package__}.peak", str(slices), "bf16" if has_amx() else "fp32"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    return [
        at_most(f"peak memory over the models, 512 x 512 x {slices} int16", told["gigabytes"], 1.5, "GB"),
        Figure("  of it the volume", told["volume"], None, None, "GB"),
    ]


def cost_by_slices(counts: Sequence[int], folder: Path) -> list[Figure]:
    """Time of one prompt against the number of slices of the same region."""
    clip, segmenter = load_clip("quickstart", "cpu"), load_segmenter("lite-medsam", "cpu")
    taken = []
    for count in counts:
        volume, text = large_volume(count)
        session = Session(volume, clip, segmenter)
        taken.append(seconds(session.segment, Prompt(text, (text,)))[0])
    folder.mkdir(parents=True, exist_ok=True)
    r2 = plot_cost(counts, taken, folder / "cost.png")
    return [at_least(f"cost against slices, {counts[0]} to {counts[-1]}: r squared of a straight line", r2, 0.99, "")]
