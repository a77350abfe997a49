"""The console script, and `python -m MedCLIPSAMLib`: Ctrl-C ends it quietly even while its commands are imported."""

from __future__ import annotations

import sys
import tempfile

_FAILED, _INTERRUPTED = 2, 130


def main() -> None:
    """One command; exits with its code."""
    try:
        from .engine.machine.temporary import temporary_folder

        with temporary_folder() as folder:
            tempfile.tempdir = str(folder)  # that of the libraries, too: PyTorch leaves a folder that all can read
            from .cli import run
            from .engine.machine.allocation import keep_freed_memory

            keep_freed_memory()
            code = run()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except OSError as error:  # of what comes before the command, which tells its own
        print(f"Error: There is no room for temporary files ({error.strerror}); set TMPDIR.", file=sys.stderr)
        code = _FAILED
    except ImportError as error:  # an installation that lacks what every command needs
        print(f"Error: This installation is not whole ({error}); install medclipsam again.", file=sys.stderr)
        code = _FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
