"""Front of the demo: one app in its folder, the provider it pays, and the queue that calls it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from payonce.demo.child import Child
from payonce.testing import BilledCall, MeteredProvider, listed, read_bill

PAYLOAD = {"course_id": 42, "tenant": "acme"}
TASK = "course-42"
DELIVERIES = 21
MODELS = ("gpt-5-mini", "claude-opus-5")
_READY_SECONDS, _RUN_SECONDS = 60.0, 120.0
_HERE = Path(__file__).parent
_ADDRESS = re.compile(r"Uvicorn running on (http://\S+)")
_DELIVERED = re.compile(r'"POST /batches HTTP')
_WRITE_FAILED = re.compile(r"^.* ERROR courses: write failed: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one process of the queue did; `statuses` are the HTTP statuses in order."""

    statuses: tuple[int | None, ...]
    wanted: int
    succeeded: bool


class Stage:
    """The app of one act: its files in a folder, its processes, and what can be counted there.

    Args:
        kind: `"unprotected"` or `"protected"`, the folder that the app's code is copied from.
        home: where the act's folder is made, and the provider's bill is kept.
        scratch: a folder for what nobody will want to read.
    """

    def __init__(self, kind: str, home: Path, scratch: Path) -> None:
        self.kind = kind
        self.folder = home / kind
        self.bill_file = home / "bills" / f"{kind}.jsonl"
        self.app_log = self.folder / "app.log"
        self.queue_log = self.folder / "task_operations_log.jsonl"
        self.delivered: list[Delivered] = []
        self._scratch = scratch
        self._children = ExitStack()

    def start(self) -> None:
        """Copy the app, make its database as it was before the deploy, and start the processes."""
        self.folder.mkdir(parents=True)
        self.bill_file.parent.mkdir(exist_ok=True)
        for file in (_HERE / "migrate.py", *(_HERE / self.kind).glob("[!_]*.py")):
            shutil.copyfile(file, self.folder / file.name)
        self.migrate(up_to=1)
        provider = MeteredProvider.spawn(self.bill_file, prices=listed(*MODELS))
        self._children.callback(provider.stop)
        command = ["-m", "uvicorn", "web:web", "--host", "127.0.0.1", "--port", "0"]
        self._web = self._children.enter_context(
            Child(
                f"{self.kind} app",
                command,
                folder=self.folder,
                log=self.app_log,
                extra=provider.environ(),
            )
        )

    def migrate(self, up_to: int | None = None) -> None:
        """Run the app's migrations, in a process of their own."""
        arguments = ["migrate.py"] + ([] if up_to is None else [str(up_to)])
        log = self._scratch / f"{self.kind}-migrate.log"
        with Child("migration", arguments, folder=self.folder, log=log) as child:
            child.finish(_READY_SECONDS)

    def deliver(self, attempts: int, again: int, watch: Callable[[], None]) -> Delivered:
        """Let a queue of its own process deliver the task.

        Args:
            attempts: deliveries after which the queue gives up.
            again: duplicates that it delivers after a success.
            watch: called now and then meanwhile.
        """
        part = self._scratch / f"{self.kind}-queue-{len(self.delivered)}"
        log, output = part.with_suffix(".jsonl"), part.with_suffix(".json")
        arguments = self._queue(attempts, again, log)
        with Child(
            "queue", arguments, folder=self._scratch, log=part.with_suffix(".log"), output=output
        ) as child:
            child.finish(_RUN_SECONDS, watch)
        with self.queue_log.open("a", encoding="utf-8") as file:
            file.write(log.read_text(encoding="utf-8"))
        self.delivered.append(_delivered(json.loads(output.read_text(encoding="utf-8"))))
        return self.delivered[-1]

    def _queue(self, attempts: int, again: int, log: Path) -> Sequence[str]:
        options = {
            "--url": f"{self.await_address()}/batches",
            "--payload": json.dumps(PAYLOAD),
            "--name": TASK,
            "--max-attempts": str(attempts),
            "--again": str(again),
            "--log": str(log),
        }
        pairs = (text for option in options.items() for text in option)
        return ["-m", "payonce.testing.queue", *pairs]

    def await_address(self) -> str:
        """The app's address, as soon as it serves."""

        def told(log: str) -> str | None:
            found = _ADDRESS.search(log)
            return None if found is None else found[1]

        return self._web.await_word(told, _READY_SECONDS)

    @property
    def bill(self) -> list[BilledCall]:
        """What the provider charged for, as it wrote it down."""
        return read_bill(self.bill_file)

    @property
    def arrived(self) -> int:
        """How many deliveries the app has answered, by its own log."""
        return self._count(_DELIVERED)

    @property
    def failing_writes(self) -> int:
        """How many statements the database refused, by the app's own log."""
        return self._count(_WRITE_FAILED)

    def _count(self, line: re.Pattern[str]) -> int:
        return len(line.findall(self.app_log.read_text(encoding="utf-8", errors="replace")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._children.close()
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)


def _delivered(summary: dict[str, Any]) -> Delivered:
    statuses = tuple(delivery["status"] for delivery in summary["deliveries"])
    return Delivered(statuses, summary["wanted"], summary["succeeded"])
