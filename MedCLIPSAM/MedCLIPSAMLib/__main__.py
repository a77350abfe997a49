"""The console script, and `python -m MedCLIPSAMLib`: Ctrl-C ends it quietly even while its commands are imported."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """One command; exits with its code."""
    try:
        from .cli import run
        from .engine.allocation import keep_freed_memory

        keep_freed_memory()
        code = run()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
