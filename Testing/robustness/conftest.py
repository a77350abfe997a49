"""What the tests of the command line have, for those of inputs and faults."""

from __future__ import annotations

from ..cli.conftest import bar, command, no_models, no_network, volume  # noqa: F401
from ..scene.conftest import app, empty_scene  # noqa: F401
