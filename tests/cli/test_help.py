"""What the command line says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.cli.help_pages import PAGE, commands, printed, shown
from tests.cli.shopping import payonce

import payonce as package
from payonce.cli import COMMANDS, main


def test_each_command_has_its_help_in_the_docs() -> None:
    """The page shows the help of payonce itself and of each command."""
    assert set(shown(PAGE.read_text(encoding="utf-8"))) == set(commands())


@pytest.mark.parametrize("command", commands())
def test_help_is_as_the_docs_show_it(command: str) -> None:
    """The docs show each help text as it is printed: python -m tests.cli.help_pages renews it."""
    assert shown(PAGE.read_text(encoding="utf-8"))[command] == printed(command)


@pytest.mark.parametrize("command", main.commands)
def test_each_command_says_what_it_is_for(command: str) -> None:
    """A command's help is a text of its own, and the list has a summary of it."""
    assert main.commands[command].help
    assert COMMANDS.summary(command).endswith(".")


def test_alone_it_prints_its_help() -> None:
    """Without a command the help is printed, and that is no error."""
    result = payonce()
    assert (result.exit_code, result.stdout) == (0, printed(""))


def test_version() -> None:
    """The version is that of the package."""
    assert payonce("--version").output == f"payonce, version {package.__version__}\n"


@pytest.mark.parametrize("arguments", [("nosuch",), ("runs", "--limit", "0"), ("show",)])
def test_a_wrongly_written_command_is_code_2(arguments: tuple[str, ...]) -> None:
    """A command that can't be parsed ends with code 2 and says how it is written."""
    result = payonce(*arguments)
    assert result.exit_code == 2
    assert "Usage: payonce" in result.stderr


def test_help_loads_nothing_heavy() -> None:
    """The list of commands needs no table library, no database driver and no SDK."""
    program = (
        "import sys\n"
        "from payonce.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    loaded = set(output.partition("loaded:")[2].split())
    assert loaded & {"rich", "sqlite3", "msgspec", "openai", "httpx", "asyncio"} == set()
