"""Errors a user can act on. The message is one sentence: which input, what is wrong, what to do."""

from __future__ import annotations


class MedCLIPSAMError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(MedCLIPSAMError):
    """A volume, prompt, option or file from the user cannot be used."""


class DeviceError(InputError):
    """A model does not fit into the memory of its device, or the device is gone."""


class ModelError(MedCLIPSAMError):
    """A model is unknown, missing, damaged, or not the kind that was asked for."""


class NotInstalledError(ModelError):
    """A model that is known is not on this computer.

    Attributes:
        how: the arguments of `medclipsam models` that bring it.
    """

    def __init__(self, sentence: str, how: str) -> None:
        super().__init__(sentence)
        self.how = how


class Cancelled(MedCLIPSAMError):
    """The user cancelled; nothing of the unfinished result is kept."""
