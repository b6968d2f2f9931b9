"""Front of the demo: a process that is started, watched and stopped by its id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from payonce.errors import PayonceError

_POLL = 0.05
_STOP_SECONDS = 5.0
_TAIL_LINES = 15
_NOT_FOR_CHILDREN = ("PAYONCE_", "OPENAI_", "ANTHROPIC_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


class ChildFailed(PayonceError):
    """A process of the demo ended early, or didn't do its part in time; `log` is its log's tail."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        self.log = "\n".join(text.splitlines()[-_TAIL_LINES:])
        super().__init__(
            f"the demo's {name} {why}",
            paid="no",
            todo=f"Its log ends with:\n{self.log}" if self.log else "It left no log.",
        )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child: this one's, without real keys, stores and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_FOR_CHILDREN) and name.upper() not in _PROXIES
    }
    return {**kept, **(extra or {})}


class Child:
    """One Python process; as a context manager it is stopped at the end, whatever happens.

    Args:
        name: what it is to the reader of an error.
        arguments: what comes after `python`.
        folder: its working directory.
        log: the file for what it says, appended to.
        output: a file of its own for its standard output.
        extra: variables to add to its environment.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        log: Path,
        output: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.log = name, log
        with ExitStack() as files:
            errors = files.enter_context(log.open("ab"))
            said = errors if output is None else files.enter_context(output.open("wb"))
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=errors,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def finish(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for its end, and do something now and then.

        Raises:
            ChildFailed: it ended with another code than 0, or not within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                code = self._process.wait(_POLL)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    why = f"did not end within {seconds:.0f} s"
                    raise ChildFailed(self.name, why, self.log) from None
                meanwhile()
            else:
                break
        if code != 0:
            raise ChildFailed(self.name, f"ended with code {code}", self.log)

    def await_word(self, word: Callable[[str], str | None], seconds: float) -> str:
        """Wait until its log has what is looked for.

        Raises:
            ChildFailed: it ended before, or didn't say it within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            code = self._process.poll()
            found = word(self.log.read_text(encoding="utf-8", errors="replace"))
            if found is not None:
                return found
            if code is not None:
                raise ChildFailed(self.name, f"ended with code {code}", self.log)
            if time.monotonic() > deadline:
                raise ChildFailed(self.name, f"was not ready within {seconds:.0f} s", self.log)
            time.sleep(_POLL)

    def stop(self) -> None:
        """End it with SIGTERM, or with SIGKILL when it doesn't hear; again changes nothing."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
