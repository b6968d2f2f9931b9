"""Each page of the docs is a program that runs and prints what the page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("page.py")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a page in an interpreter of its own, warnings being errors, in a folder of its own."""
    command = [sys.executable, "-W", "error", str(RUNNER), str(page)]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path) -> None:
    """The page's code blocks run from top to bottom and print what the page shows."""
    done = _run(page, tmp_path)
    assert done.returncode == 0, done.stderr


def test_one_namespace_and_hidden_blocks(tmp_path: Path) -> None:
    """A block sees the names of those before it, the hidden ones included."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run\nx = 20\n-->\n```python\nx += 1\n```\n```python\nprint(x, 'or', x)\n```\n"
        "<!-- prints -->\n```text\n21 ... 21\n```\n"
    )
    done = _run(page, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n```python\nprint(1)\n```\n<!-- prints -->\n```text\n2\n```\n", "line 3: printed '1"),
        ("# A page\n\n```python\nx = 1\ny\n```\n", 'page.md", line 5'),
        ("<!-- prints -->\n```text\n2\n```\n", "no block prints this"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "UserWarning: old"),
    ],
    ids=["prints-other", "fails", "prints-nothing", "warns"],
)
def test_page_that_tells_a_lie_fails(text: str, said: str, tmp_path: Path) -> None:
    """A page that fails, warns or prints something else is reported by its own line number."""
    page = tmp_path / "page.md"
    page.write_text(text)
    done = _run(page, tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
