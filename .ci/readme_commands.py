"""Print the two set-up commands that README.md promises, one a line, as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_README = Path(__file__).resolve().parent.parent / "README.md"
_SECTION = re.compile(r"^## Set up\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(?P<lines>.*?)^```$", re.MULTILINE | re.DOTALL)
_COUNT = 2


def commands(readme: str) -> list[str]:
    """The commands under "## Set up", in order.

    Raises:
        ValueError: there is no such section, or it doesn't hold exactly two ```sh blocks of one
            line each.
    """
    section = _SECTION.search(readme)
    if section is None:
        raise ValueError('there is no section "## Set up"')
    blocks = [block["lines"].strip() for block in _BLOCK.finditer(section["body"])]
    if len(blocks) != _COUNT or any(len(block.splitlines()) != 1 for block in blocks):
        raise ValueError(f"{_COUNT} ```sh blocks of one line each are expected, not {blocks}")
    return blocks


def main() -> int:
    """Print the commands; 1 when README.md doesn't hold what it should."""
    try:
        print(*commands(_README.read_text(encoding="utf-8")), sep="\n")
    except ValueError as exc:
        print(f"README.md: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
