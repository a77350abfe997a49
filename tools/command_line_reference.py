"""Writes the reference of the command line, from the commands themselves: python tools/command_line_reference.py"""

from __future__ import annotations

from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from MedCLIPSAMLib.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
_HEAD = """<!-- Made by `make docs` from the commands. Change their help, not this page. -->

# The command line

Exit codes: 0 done; 1 an error that nobody thought of; 2 an error of the user or the files, told in one sentence; 130
interrupted.

"""


def reference() -> str:
    """The page as Markdown: each command with its arguments, options and their defaults."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="medclipsam", help_option_names=["-h", "--help"])
    return _HEAD + get_docs_for_click(obj=command, ctx=context, indent=1, name="medclipsam").strip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
