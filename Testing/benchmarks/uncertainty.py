"""Whether uncertainty ranks errors, on labelled people: ``python -m Testing.benchmarks.uncertainty FOLDER``.

FOLDER is as for `medclipsam validate`. Each source of spread is measured by itself as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import ndimage

from MedCLIPSAMLib.cli.validation.people import Labelled, find_people, read_case
from MedCLIPSAMLib.engine.clip.registry import load_clip
from MedCLIPSAMLib.engine.prompt.prompt import Prompt
from MedCLIPSAMLib.engine.sam.registry import load_segmenter
from MedCLIPSAMLib.engine.session.evidence import SegmentEvidence
from MedCLIPSAMLib.engine.session.session import Session
from MedCLIPSAMLib.engine.uncertainty.doubt import Uncertainty
from MedCLIPSAMLib.engine.uncertainty.entropy import binary_entropy
from MedCLIPSAMLib.engine.uncertainty.ranking import area_under_risk_coverage, calibration_error
from MedCLIPSAMLib.engine.uncertainty.spread import Spread

SPREADS = {
    "default": Spread(),
    "one mask": Spread(0, 0, 0),
    "wordings": Spread(4, 0, 0),
    "boxes": Spread(0, 0, 4),
    "proposals": Spread(0, 0, 0, proposals=True),
}
_NEAR = 5  # pixels around mask and label: far away all is certain, and right
_FEWEST = 4  # slices of a structure, for their order to say anything


@dataclass
class Measured:
    """One structure with one spread: what there is of it on all slices with a mask."""

    probability: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)
    wrong: list[np.ndarray] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    doubt: list[tuple[float, float, float]] = field(default_factory=list)  # ours, the segmenter's, presence

    def add(self, evidence: SegmentEvidence, unsure: Uncertainty, truth: np.ndarray, session: Session) -> None:
        """Adds the slices of one image; ``truth`` is (slices, H, W) bool."""
        masks, probability = session.stack.arrange(evidence.mask), session.stack.arrange(unsure.probability)
        for part in evidence.slices:
            mask, label = masks[part.index], truth[part.index]
            if not mask.any():
                continue
            near = ndimage.binary_dilation(mask | label, iterations=_NEAR)
            self.probability.append(probability[part.index][near])
            self.truth.append(label[near])
            self.wrong.append((mask != label)[near])
            self.loss.append(1 - 2 * float((mask & label).sum()) / float(mask.sum() + label.sum()))
            self.doubt.append((unsure.slices[part.index], 1 - (part.segmenter_score or 0.0), 1 - part.score))

    def numbers(self) -> list[float]:
        """By voxel AURC, chance, best, ECE; by slice AURC of ours, the segmenter and presence, mean loss, best."""
        probability, truth, wrong = (np.concatenate(each) for each in (self.probability, self.truth, self.wrong))
        loss = np.array(self.loss)
        return [
            area_under_risk_coverage(binary_entropy(probability), wrong),
            float(wrong.mean()),
            area_under_risk_coverage(wrong, wrong),
            calibration_error(probability, truth),
            *(area_under_risk_coverage(doubt, loss) for doubt in np.array(self.doubt).T),
            float(loss.mean()),
            area_under_risk_coverage(loss, loss),
        ]


def main(
    folder: Path,
    text: Annotated[list[str] | None, typer.Option(help="Prompts; all of the folder if not given.")] = None,
) -> None:
    """Prints a table by structure, one by source of spread, and how much longer a run takes."""
    measured: dict[str, dict[str, Measured]] = {}
    times: list[tuple[float, float]] = []
    clip, segmenter = load_clip("quickstart", "auto"), load_segmenter("lite-medsam", "auto")
    for case in find_people(folder):
        volume, labels = read_case(case)
        session = Session(volume, clip, segmenter)
        for number, (asked, truth) in enumerate(_asked(case, labels, text)):
            start = time.perf_counter()
            evidence = session.segment(Prompt(asked, (asked,)))
            ran = time.perf_counter() - start
            if not evidence.found:
                print(f"{case.name}: {asked} is not found", flush=True)
                continue
            by_spread = measured.setdefault(f"{case.source.name}: {asked}", {name: Measured() for name in SPREADS})
            for name, spread in SPREADS.items():
                start = time.perf_counter()
                unsure = session.uncertainty(Prompt(asked, (asked,)), evidence.mask, evidence.slices, spread=spread)
                if name == "default" and number == 0:
                    times.append((ran, time.perf_counter() - start))
                by_spread[name].add(evidence, unsure, session.stack.arrange(truth), session)
            print(f"{case.name}: {asked}", flush=True)
    _print(measured)
    ran, more = np.sum(times, 0)
    print(f"\nFirst prompts: {ran:.1f} s without, {ran + more:.1f} s with uncertainty: {1 + more / ran:.2f} times")


def _asked(case: Labelled, labels: np.ndarray, texts: Sequence[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Prompts that an image has labels of, with these, (K, J, I) bool."""
    for text in case.source.prompts:
        truth = np.isin(labels, case.source.numbers(text))
        if truth.any() and (not texts or text in texts):
            yield text, truth


def _print(measured: dict[str, dict[str, Measured]]) -> None:
    enough = {name: each for name, each in measured.items() if len(each["default"].loss) >= _FEWEST}
    columns = ["structure", "slices", "voxels: AURC", "chance", "best", "ECE"]
    columns += ["slices: ours", "segmenter", "presence", "mean", "best"]
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, each in enough.items():
        values = " | ".join(f"{value:.3f}" for value in each["default"].numbers())
        print(f"| {name} | {len(each['default'].loss)} | {values} |")
    print("\n| spread | voxels: AURC / chance | ECE | slices: AURC / mean |\n|---|---|---|---|")
    for spread in SPREADS:
        numbers = np.array([each[spread].numbers() for each in enough.values()])
        shares = numbers[:, 0] / numbers[:, 1], numbers[:, 3], numbers[:, 4] / numbers[:, 7]
        print(f"| {spread} | {' | '.join(f'{share.mean():.3f}' for share in shares)} |")
    numbers = np.array([each["default"].numbers() for each in enough.values()])
    print(f"\nSlices by the segmenter's own score {(numbers[:, 5] / numbers[:, 7]).mean():.3f}, by presence", end=" ")
    print(f"{(numbers[:, 6] / numbers[:, 7]).mean():.3f}, at best {(numbers[:, 8] / numbers[:, 7]).mean():.3f}")


if __name__ == "__main__":
    typer.run(main)
