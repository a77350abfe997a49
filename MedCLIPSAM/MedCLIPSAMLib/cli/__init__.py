"""The command line `medclipsam`; torch and slicer are imported by the commands that need them."""

from __future__ import annotations

from .app import run

__all__ = ["run"]
