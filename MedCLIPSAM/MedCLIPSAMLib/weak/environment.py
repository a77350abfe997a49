"""nnU-Net in this process: whether it is installed, where its folders are, and how many processes it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO

from ..engine.errors import InputError
from .dataset import PREPROCESSED, RAW, RESULTS, Dataset

_MOST_WORKERS = 8  # what nnU-Net takes itself at most, for files; and for augmentation beside a GPU:
_MOST_AUGMENTING = 12


def check_installed() -> None:
    """Refuse where nnU-Net is missing.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("nnunetv2") is None:
        raise InputError("Weak supervision needs the package nnunetv2: pip install 'medclipsam[weak]'.")


def workers() -> int:
    """Processes that read or write files at once."""
    return max(1, min(_MOST_WORKERS, os.cpu_count() or 1))


def point_to(dataset: Dataset) -> None:
    """Let nnU-Net work in the folders of a dataset.

    It reads them from the environment when it is imported; where that was done before, for another dataset, its
    modules are told. Processes that it starts read the environment anew.
    """
    places = {
        RAW: str(dataset.folder.resolve().parent),
        PREPROCESSED: str(dataset.place(PREPROCESSED)),
        RESULTS: str(dataset.place(RESULTS)),
    }
    os.environ.update(places)
    set_up()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "nnunetv2":
            vars(module).update({place: value for place, value in places.items() if place in vars(module)})


def set_up() -> None:
    """Import nnU-Net so that it starts no more processes than there are cores, and sends nothing anywhere."""
    cores = os.cpu_count() or 1
    chosen = {
        "nnUNet_def_n_proc": str(workers()),
        "nnUNet_n_proc_DA": str(min(_MOST_AUGMENTING, cores)),
        "nnUNet_wandb_enabled": "0",  # which would send the course of the training away
    }
    by_default = {"nnUNet_compile": "f"}  # takes a compiler of C++
    os.environ.update(by_default | dict(os.environ) | chosen)
    with silence():
        import_module("nnunetv2.paths")


def augment_in_this_process() -> None:
    """For training on a CPU, all of which the network needs."""
    os.environ.update({"nnUNet_n_proc_DA": "0"})


@contextmanager
def silence() -> Iterator[None]:
    """What nnU-Net prints goes nowhere; its training also writes it to a file."""
    with redirect_stdout(StringIO()):
        yield
