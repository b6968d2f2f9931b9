"""Run one page of the docs as the program that its blocks make together.

    python page.py PAGE.md

The conventions are those of CONTRIBUTING.md, "The docs are run": each ```python block runs, top
to bottom, in one namespace and with the page's own line numbers; `<!-- run` hides a block from
readers; `<!-- prints -->` marks a ```text block as what the block before it prints.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_BLOCK = re.compile(
    r"^```python\n(?P<shown>.*?)^```$"
    r"|^<!-- run\n(?P<hidden>.*?)^-->$"
    r"|^<!-- prints -->\n+```text\n(?P<prints>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """Code of a page, where it starts, and what it has to print if the page says so."""

    line: int
    code: str
    prints: str | None = None


def blocks(text: str) -> list[Block]:
    """The blocks of a page in order.

    Raises:
        ValueError: what is to be printed follows no block.
    """
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        if match["prints"] is None:
            found.append(Block(line, match["shown"] or match["hidden"] or ""))
        elif found and found[-1].prints is None:
            found[-1] = Block(found[-1].line, found[-1].code, match["prints"])
        else:
            raise ValueError(f"line {line}: no block prints this")
    return found


def as_told(told: str, printed: str) -> bool:
    """Whether a block printed what the page says; `...` in the page stands for anything."""
    pattern = ".*".join(re.escape(part) for part in told.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def run(page: Path) -> Iterator[str]:
    """Run the page's blocks; what was printed otherwise than told, one sentence each."""
    module = ModuleType("page")
    sys.modules["page"] = module
    for block in blocks(page.read_text(encoding="utf-8")):
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        output = io.StringIO()
        with redirect_stdout(output):
            exec(code, vars(module))
        if block.prints is not None and not as_told(block.prints, output.getvalue()):
            yield f"{page.name}, line {block.line}: printed {output.getvalue()!r}"


def main() -> int:
    """Run the page named on the command line; 1 if it printed otherwise than it tells."""
    wrong = list(run(Path(sys.argv[1])))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
