"""The program itself: its exit codes, its output in a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from tests.cli.shopping import Shop

PROGRAM = [sys.executable, "-m", "payonce"]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def _on_terminal(*arguments: str, columns: int, **environment: str) -> str:
    """What a command prints on a terminal of so many columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=kept | {"TERM": "xterm-256color"} | environment,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    printed = b""
    try:
        while chunk := os.read(parent, 65536):
            printed += chunk
    except OSError:  # Linux: the other side is closed
        pass
    finally:
        os.close(parent)
        process.wait(timeout=20)
    return printed.decode().replace("\r\n", "\n")


def test_exit_codes_and_streams(shop: Shop) -> None:
    """0 with the table on stdout, 1 with the error on stderr, 2 for what can't be parsed, 3 for
    runs that are still not done; never a traceback.
    """
    shop.deliver("course", 1, "acme")
    runs, show = _run("runs"), _run("show", "nosuch")
    wrong, wake = _run("runs", "--nosuch"), _run("wake", "shop:app", "--force")
    assert [done.returncode for done in (runs, show, wrong, wake)] == [0, 1, 2, 3]
    assert (runs.stderr, show.stdout) == ("", "")
    assert "(paid: no)" in show.stderr
    assert "writing 1" in wake.stderr
    assert "writing 1" not in wake.stdout
    assert all("Traceback" not in done.stderr for done in (runs, show, wrong, wake))


def test_a_pipe_gets_plain_lines(shop: Shop) -> None:
    """In a pipe there are no colours, no folded lines and no blanks at the ends of lines."""
    shop.deliver("course", 10**60, "acme")
    output = _run("runs").stdout
    assert "\x1b" not in output
    assert len(output.splitlines()) == 3
    assert all(line == line.rstrip() for line in output.splitlines())


@pytest.mark.parametrize("columns", [50, 80, 160])
def test_a_terminal_gets_tables_that_fit(shop: Shop, columns: int) -> None:
    """On a terminal no line is longer than it is wide, and no key is cut."""
    shop.deliver("course", 1, "acme")
    printed = re.sub("\x1b\\[[0-9;]*m", "", _on_terminal("runs", columns=columns))
    assert max(map(len, printed.splitlines())) <= columns
    assert "course:1" in printed
    assert ("no room for: reason" in printed) == (columns < 160)


def test_colours_on_a_terminal_unless_unwanted(shop: Shop) -> None:
    """A terminal gets colours, and none under `NO_COLOR`."""
    shop.deliver("course", 1, "acme")
    assert "\x1b[33mparked" in _on_terminal("runs", columns=120)
    assert "\x1b[33m" not in _on_terminal("runs", columns=120, NO_COLOR="1")
