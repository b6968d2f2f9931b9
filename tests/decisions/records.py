"""The recorded failures: real exceptions, each with the label that it got before it was judged.

`corpus.jsonl` came with the rules' first sources. `libraries.jsonl` and `more_libraries.jsonl` were
provoked from some 90 packages, against real servers and canned answers, and served to find what the
rules did not know. `held_out.jsonl` never served to change a rule.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@cache
def records(name: str = "corpus") -> list[dict[str, Any]]:
    """All records of one file."""
    lines = (_HERE / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
