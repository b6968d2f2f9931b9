"""Memory: where a receipt goes when the journal can't take it, until it can again.

One file per receipt, fsynced, in a folder beside the journal (or, where that can't be written
either, in the machine's temporary folder). Whoever opens a run next merges them: an answer that
was paid for is never thrown away.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import msgspec

from payonce.journal.protocol import Opening
from payonce.model import Intent, Receipt, Run

_log = logging.getLogger("payonce")


class Spilled(msgspec.Struct, frozen=True):
    """A spilled receipt, with all that is needed to find or remake its call."""

    call_id: int
    intent: Intent
    receipt: Receipt
    at: float


def beside(journal: Path) -> tuple[Path, Path]:
    """The folders of a journal that is a file."""
    name = hashlib.sha256(str(journal).encode()).hexdigest()[:16]
    last = Path(tempfile.gettempdir()) / f"payonce-spill-{name}"
    return journal.with_name(journal.name + ".spill"), last


class SpillFolder:
    """The spill files of one journal, of all processes on this machine.

    `folders` are tried in their order.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def write(self, spilled: Spilled) -> Path:
        """Keep one receipt, durably.

        Raises:
            OSError: neither folder can be written.
        """
        body = msgspec.json.encode(spilled)
        for folder in self._folders[:-1]:
            try:
                return _keep(folder, body)
            except OSError:
                continue
        return _keep(self._folders[-1], body)

    def files(self) -> list[Path]:
        """The spill files that wait to be merged."""
        return [p for folder in self._folders if _is_ours(folder) for p in folder.glob("*.json")]


def waiting(folder: SpillFolder) -> Iterator[tuple[Path, Spilled]]:
    """What waits to be merged; what can't be read is told of and left where it is."""
    for path in folder.files():
        try:
            yield path, read(path)
        except FileNotFoundError:  # another process was faster
            continue
        except (OSError, msgspec.MsgspecError) as exc:
            _log.error("the spilled receipt %s can't be read and was left there: %s", path, exc)


def placed(spilled: Spilled, find: Callable[[str, str], Run | None]) -> Spilled | None:
    """The same, with its run's number in this journal; None while that has no such run.

    A journal that was made anew, or brought back from a backup, gives the number to another run.
    """
    intent = spilled.intent
    if not intent.job:  # written before runs were named
        return spilled
    run = find(intent.job, intent.key)
    if run is None:
        return None
    return msgspec.structs.replace(spilled, intent=msgspec.structs.replace(intent, run_id=run.id))


def is_of(spilled: Spilled, opening: Opening) -> bool:
    """Whether it belongs to the run that is to be opened."""
    intent, seen = spilled.intent, opening.seen
    if intent.job:
        return (intent.job, intent.key) == (opening.job, opening.key)
    return seen is not None and intent.run_id == seen.id


def unlink(path: Path, merged: Future[None]) -> None:
    """Remove the file of a receipt that the journal has taken."""
    if (exc := merged.exception()) is None:
        path.unlink(missing_ok=True)
    else:
        _log.error("the spilled receipt %s could not be merged and was kept: %s", path, exc)


def read(path: Path) -> Spilled:
    """The receipt in a spill file."""
    return msgspec.json.decode(path.read_bytes(), type=Spilled)


def _is_ours(folder: Path) -> bool:
    """A folder in a place that all users share is trusted only if it is this user's own."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _keep(folder: Path, body: bytes) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_ours(folder):
        raise PermissionError(f"{folder} belongs to somebody else")
    path = folder / f"{os.getpid()}-{os.urandom(6).hex()}.json"
    partial = path.with_suffix(".partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:  # nothing half written stays to fill the disk up
        partial.unlink(missing_ok=True)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path
