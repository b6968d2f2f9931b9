"""Testing: the provider's own record of what it billed, one durable JSON line per call."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from payonce.money import Money


@dataclass(frozen=True, slots=True)
class BilledCall:
    """One call that the provider charged for.

    `at` is in seconds since the epoch, `n` counts the billed calls from 1, `label` is the short
    name by which tests count.
    """

    at: float
    n: int
    provider: str
    path: str
    model: str
    label: str
    prompt_sha: str
    input_tokens: int
    output_tokens: int
    cost_nanos: int
    idempotency_key: str | None
    user_agent: str | None
    stream: bool

    @property
    def cost(self) -> Money:
        """The price of this call."""
        return Money(self.cost_nanos)


def read_bill(path: Path) -> list[BilledCall]:
    """Read a bill file; a last line that was cut short is left out.

    Raises:
        ValueError: any other line is not a billed call, so the file is no bill.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    calls = []
    for number, line in enumerate(lines, start=1):
        try:
            calls.append(BilledCall(**json.loads(line)))
        except (ValueError, TypeError) as exc:
            if number < len(lines):
                raise ValueError(f"{path}:{number} is not a line of a bill: {exc}") from exc
    return calls


class Bill:
    """The bill as its only writer has it; an existing file is continued.

    A last line that was cut short belongs to a call that was never answered: it is removed.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._calls = [] if path is None else read_bill(path)
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _mend_tail(self._file)

    @property
    def calls(self) -> list[BilledCall]:
        """All billed calls, oldest first."""
        with self._lock:
            return list(self._calls)

    def add(self, make: Callable[[int], BilledCall]) -> BilledCall:
        """Write down the call that `make` builds from its number; durable on return."""
        with self._lock:
            call = make(self._calls[-1].n + 1 if self._calls else 1)
            if self._file is not None:
                os.write(self._file, json.dumps(asdict(call)).encode() + b"\n")
                os.fsync(self._file)
            self._calls.append(call)
            return call

    def close(self) -> None:
        """Close the file; the calls can still be read."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _mend_tail(file: int) -> None:
    """End the file with a whole line: complete the last one, or cut it off."""
    content = os.pread(file, os.fstat(file).st_size, 0)
    whole, newline, tail = content.rpartition(b"\n")
    if not tail:
        return
    try:
        BilledCall(**json.loads(tail))
    except (ValueError, TypeError):
        os.ftruncate(file, len(whole) + len(newline))
    else:
        os.write(file, b"\n")
