"""Reading: what is installed, what the journal is like, and what is wrong with either."""

from __future__ import annotations

import importlib
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

import payonce
from payonce.errors import PayonceError
from payonce.journal.protocol import Journal, RunFilter
from payonce.journal.queries import migrations
from payonce.journal.spill import SpillFolder
from payonce.policy import Limits
from payonce.redact import redact
from payonce.report import text
from payonce.report.retries import QUEUES, SDKS, Queue, Sdk
from payonce.report.tables import facts, table
from payonce.report.unreadable import unreadable
from payonce.waking import ALL


@dataclass(slots=True)
class JournalHealth:
    """A journal's place and state; `problem` is what keeps it from being read."""

    store: str
    path: Path | None = None
    there: bool = False
    schema: int | None = None
    bytes: int | None = None
    runs: dict[str, int] = field(default_factory=dict)
    spilled: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All that `payonce doctor` looks at; `sdks` and `queues` with their installed versions."""

    python: str
    sqlite: str
    payonce: str
    journal: JournalHealth
    sdks: list[tuple[Sdk, str]]
    queues: list[tuple[Queue, str]]

    @property
    def problems(self) -> list[str]:
        """What has to be mended before payonce can work."""
        return [self.journal.problem] if self.journal.problem else []


def examine(store: str, opened: Callable[[], Journal], path: Path | None) -> Health:
    """Look at everything; what is wrong is told, not raised.

    Args:
        store: the journal's URL.
        opened: gives the journal, or raises what keeps it from being used.
        path: its file, if it is one.
    """
    return Health(
        python=platform.python_version(),
        sqlite=str(importlib.import_module("sqlite3").sqlite_version),
        payonce=payonce.__version__,
        journal=_journal(store, opened, path),
        sdks=[(sdk, found) for sdk in SDKS if (found := _installed(sdk.name))],
        queues=[(queue, found) for queue in QUEUES if (found := _installed(queue.name))],
    )


def _journal(store: str, opened: Callable[[], Journal], path: Path | None) -> JournalHealth:
    health = JournalHealth(redact(store), path)
    try:
        if path is not None:
            health.spilled = len(SpillFolder(path).files())
            health.there = path.exists()
            if not health.there:
                return health
            health.bytes = path.stat().st_size
        journal = opened()
        states = Counter(s.run.state.value for s in journal.runs(RunFilter(limit=ALL)))
        health.runs = dict(sorted(states.items()))
        health.schema = migrations("sqlite")[-1][0]
    except (PayonceError, OSError) as exc:
        health.problem = str(exc)
    except Exception as exc:
        if (told := unreadable(exc)) is None:
            raise
        health.problem = str(told)
    return health


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def health_view(health: Health) -> Iterator[RenderableType]:
    """For people."""
    journal = health.journal
    yield facts(
        [
            ("payonce", health.payonce),
            ("Python", health.python),
            ("SQLite", health.sqlite),
            ("journal", str(journal.path or journal.store)),
            *_journal_facts(journal),
        ]
    )
    yield ""
    if health.sdks:
        rows = (_sdk_row(sdk, found) for sdk, found in health.sdks)
        yield table("SDK,version,captured,hook,#sends,note", rows)
    else:
        yield "No LLM SDK that payonce knows is installed here."
    yield ""
    if health.queues:
        rows = (_queue_row(queue, found) for queue, found in health.queues)
        yield table("queue,version,#deliveries,more or fewer by", rows)
        yield ""
    yield from layers(health)
    for problem in health.problems:
        yield Text(f"Problem: {problem}", style="red")


def _journal_facts(journal: JournalHealth) -> list[tuple[str, str]]:
    spilled = text.plural(journal.spilled, "receipt waits", "receipts wait")
    told = [("spill files", f"{spilled} to be merged")] if journal.spilled else []
    if journal.problem:
        return [*told, ("", "can't be used, see below")]
    if not journal.there:
        return [*told, ("", "not there yet: the app's first delivery makes it")]
    runs = ", ".join(f"{count} {state}" for state, count in journal.runs.items())
    return [
        ("schema", f"version {journal.schema}"),
        ("size", text.size(journal.bytes or 0)),
        ("runs", runs or "none"),
        *told,
    ]


def _sdk_row(sdk: Sdk, found: str) -> list[str]:
    sends = text.NOTHING if sdk.sends is None else str(sdk.sends)
    return [sdk.name, found, sdk.captured, sdk.hook, sends, sdk.note]


def _queue_row(queue: Queue, found: str) -> list[str]:
    return [queue.name, found, _deliveries(queue), queue.asked]


def _deliveries(queue: Queue) -> str:
    return "no limit" if queue.deliveries is None else str(queue.deliveries)


def layers(health: Health) -> list[str]:
    """Which of the layers that repeat a call multiply, without payonce and with it."""
    limits = Limits()
    with_payonce = (
        f"With payonce: an answer that was paid for is never asked for again; a run is attempted "
        f"{limits.attempts} times at most, a step sent {limits.sends} times at most, whatever "
        f"the layers around it do."
    )
    sending = [sdk for sdk, _ in health.sdks if (sdk.sends or 0) > 1]
    products = [_product(queue, sdk) for queue, _ in health.queues for sdk in sending]
    if not products:
        products = [
            f"One failing call of {sdk.name}: up to {sdk.sends} sends for each delivery."
            for sdk in sending
        ]
    return [*products, with_payonce]


def _product(queue: Queue, sdk: Sdk) -> str:
    if queue.deliveries is None:
        return f"{queue.name} × {sdk.name}: no limit, {sdk.sends} sends for each delivery."
    sends = queue.deliveries * (sdk.sends or 1)
    return (
        f"{queue.name} × {sdk.name}: {queue.deliveries} deliveries × {sdk.sends} sends = "
        f"up to {sends} sends of one call."
    )


def health_document(health: Health) -> dict[str, Any]:
    """For programs."""
    journal = asdict(health.journal) | {"path": str(health.journal.path or "") or None}
    return {
        "payonce": health.payonce,
        "python": health.python,
        "sqlite": health.sqlite,
        "journal": journal,
        "sdks": [asdict(sdk) | {"version": found} for sdk, found in health.sdks],
        "queues": [asdict(queue) | {"version": found} for queue, found in health.queues],
        "retry_layers": layers(health),
        "problems": health.problems,
    }
