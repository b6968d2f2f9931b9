"""Keep the help texts in `docs/cli.md` as the commands print them.

python -m tests.cli.help_pages      writes them anew
"""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.testing import CliRunner

from payonce.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_BLOCK = re.compile(
    r"^<!-- help(?P<command>(?: \w+)*) -->\n\n```text\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def commands() -> list[str]:
    """All commands, those inside of a command by both their names; "" is payonce itself."""
    found = [""]
    for name, command in main.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        found += [name, *(f"{name} {each}" for each in inner)]
    return found


def printed(command: str) -> str:
    """What `payonce COMMAND --help` prints in 80 columns; without a command, `payonce --help`."""
    arguments = [*command.split(), "--help"]
    result = CliRunner().invoke(main, arguments, prog_name="payonce", terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.output


def shown(page: str) -> dict[str, str]:
    """The help texts in a page, by command."""
    return {match["command"].strip(): match["text"] for match in _BLOCK.finditer(page)}


def renewed(page: str) -> str:
    """A page with each help text as it is printed now."""
    return _BLOCK.sub(
        lambda match: f"<!-- help{match['command']} -->\n\n```text\n{printed(match['command'])}```",
        page,
    )


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
