"""A study becomes a case of a dataset, or a reason why not."""

from __future__ import annotations

from pathlib import Path

from ..engine.clip.base import ImageTextModel
from ..engine.errors import InputError
from ..engine.prompt.prompt import PromptSet
from ..engine.sam.base import PromptableSegmenter
from ..engine.session.session import Session
from ..engine.session.settings import Settings
from ..engine.volume import Volume
from ..scene.files.replacing import write_text
from . import thumbnails
from .dataset import FAILED, KEPT, PAGE, Dataset, Record
from .grid import Grid
from .labelling import Gate, PseudoLabel, label_map, pseudo_label
from .studies import Study


class Preparation:
    """Looks at one study after another; the models stay loaded.

    Args:
        models: image-text model and segmenter.
    """

    def __init__(
        self,
        dataset: Dataset,
        prompts: PromptSet,
        models: tuple[ImageTextModel, PromptableSegmenter],
        settings: Settings,
        gate: Gate,
    ) -> None:
        self._dataset, self._prompts, self._settings, self._gate = dataset, prompts, settings, gate
        self._models = models

    def add(self, study: Study, volume: Volume) -> Record:
        """Label a study, and write what becomes of it.

        Raises:
            InputError: it cannot be stored, or is a picture among volumes, or a volume among pictures.
            OSError: the disk is full, or the like.
        """
        grid = Grid(volume)
        if any(other.flat != grid.is_flat for other in self._dataset.kept().values()):
            kinds = ("a single slice", "volumes") if grid.is_flat else ("a volume", "single slices")
            raise InputError(f"{study.place} is {kinds[0]} among {kinds[1]}; make a dataset of each kind.")
        session = Session(volume, *self._models, self._settings)
        labels: list[PseudoLabel] = []
        for prompt in self._prompts:
            labels.append(pseudo_label(session, prompt, self._gate))
            if labels[-1].reason:
                break
        reason = labels[-1].reason
        record = Record(
            study.place,
            study.patient,
            reason or KEPT,
            self._prompts.prompts[len(labels) - 1].name if reason else "",
            volume.modality,
            grid.is_flat,
            tuple(label.score for label in labels),
            tuple(label.agreement for label in labels),
        )
        name = self._dataset.name_for(study)
        if reason:
            self._dataset.note(name, record)
        else:
            made = label_map(labels)
            self._dataset.keep(name, record, grid, made, thumbnails.draw(session, made, len(labels)))
        return record

    def failed(self, study: Study, error: Exception) -> Record:
        """Write that a study could not be read, or not be segmented."""
        record = Record(study.place, study.patient, FAILED, str(error))
        self._dataset.note(self._dataset.name_for(study), record)
        return record

    def finish(self) -> Path:
        """Write nnU-Net's description of the dataset, and the page of thumbnails.

        Raises:
            InputError: no case is left, or the list of discarded cases names what is none.
        """
        names = [prompt.name for prompt in self._prompts]
        self._dataset.finish(names)
        others = [
            f"{record.study}: {record.outcome}{f' ({record.detail})' if record.detail else ''}"
            for _, record in sorted(self._dataset.records.items())
            if record.outcome != KEPT
        ]
        pictures = {name: self._dataset.picture(name) for name in self._dataset.kept()}
        file = self._dataset.folder / PAGE
        text = thumbnails.page(self._dataset.folder.name, names, pictures, self._dataset.discarded(), others)
        write_text(file, text)
        return file
