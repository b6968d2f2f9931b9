"""Reading: what is installed, what the journal is like, and what is wrong with either."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import RenderableType
from rich.text import Text

import payonce
from payonce.errors import JournalNotFound, PayonceError
from payonce.journal.protocol import About, Journal
from payonce.policy import Limits
from payonce.redact import redact
from payonce.report import text
from payonce.report.retries import QUEUES, SDKS, Queue, Sdk
from payonce.report.tables import facts, table
from payonce.report.unreadable import unreadable


@dataclass(slots=True)
class JournalHealth:
    """A journal, or why there is none yet, or the problem that keeps it from being read."""

    store: str
    about: About | None = None
    absent: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All that `payonce doctor` looks at; `sdks` and `queues` with their installed versions.

    `telemetry` has those of OpenTelemetry's API and SDK.
    """

    python: str
    sqlite: str
    payonce: str
    journal: JournalHealth
    sdks: list[tuple[Sdk, str]]
    queues: list[tuple[Queue, str]]
    telemetry: dict[str, str | None] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """What has to be mended before payonce can work."""
        return [self.journal.problem] if self.journal.problem else []


def examine(store: str, opened: Callable[[], Journal]) -> Health:
    """Look at everything; what is wrong is told, not raised.

    Args:
        store: the journal's URL.
        opened: gives the journal, or raises what keeps it from being used.
    """
    return Health(
        python=platform.python_version(),
        sqlite=str(importlib.import_module("sqlite3").sqlite_version),
        payonce=payonce.__version__,
        journal=_journal(store, opened),
        sdks=[(sdk, found) for sdk in SDKS if (found := _installed(sdk.name))],
        queues=[(queue, found) for queue in QUEUES if (found := _installed(queue.name))],
        telemetry={part: _installed(f"opentelemetry-{part}") for part in ("api", "sdk")},
    )


def _journal(store: str, opened: Callable[[], Journal]) -> JournalHealth:
    health = JournalHealth(redact(store))
    try:
        health.about = opened().about()
    except JournalNotFound as exc:
        health.absent = exc.what
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
            *_telemetry_fact(health),
            ("journal", journal.about.place if journal.about else journal.store),
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


def _telemetry_fact(health: Health) -> list[tuple[str, str]]:
    """Nothing where there is none; spans and metrics come of an SDK alone."""
    api, sdk = health.telemetry.get("api"), health.telemetry.get("sdk")
    if api is None:
        return []
    told = f"SDK {sdk}" if sdk else "no SDK: nothing comes of app.observe"
    return [("OpenTelemetry", f"API {api}, {told}")]


def _journal_facts(journal: JournalHealth) -> list[tuple[str, str]]:
    about = journal.about
    if about is None:
        absent = "not there yet: the app's first delivery makes it"
        return [("", absent if journal.absent else "can't be used, see below")]
    spilled = text.plural(about.spilled, "receipt waits", "receipts wait")
    runs = ", ".join(f"{count} {state}" for state, count in about.states.items())
    told = [
        ("schema", f"version {about.schema}"),
        ("size", text.size(about.bytes)),
        ("runs", runs or "none"),
    ]
    return [*told, ("spill files", f"{spilled} to be merged")] if about.spilled else told


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
    products = _products([queue for queue, _ in health.queues], sending)
    if not products:
        products = [
            f"One failing call of {sdk.name}: up to {sdk.sends} sends for each delivery."
            for sdk in sending
        ]
    return [*products, with_payonce]


def _products(queues: Sequence[Queue], sending: Sequence[Sdk]) -> list[str]:
    """One sentence for all queues and SDKs that multiply to the same."""
    found: dict[tuple[int | None, int], tuple[list[str], list[str]]] = {}
    for queue in queues:
        for sdk in sending:
            of_queues, of_sdks = found.setdefault((queue.deliveries, sdk.sends or 1), ([], []))
            of_queues.append(queue.name)
            of_sdks.append(sdk.name)
    return [
        f"{_either(of_queues)} × {_either(of_sdks)}: {_product(deliveries, sends)}"
        for (deliveries, sends), (of_queues, of_sdks) in found.items()
    ]


def _product(deliveries: int | None, sends: int) -> str:
    if deliveries is None:
        return f"no limit, {sends} sends for each delivery."
    times = text.plural(deliveries, "delivery", "deliveries")
    return f"{times} × {sends} sends = up to {deliveries * sends} sends of one call."


def _either(names: Sequence[str]) -> str:
    *some, last = dict.fromkeys(names)
    return f"{', '.join(some)} or {last}" if some else last


def health_document(health: Health) -> dict[str, Any]:
    """For programs."""
    found = health.journal
    journal = {"store": found.store, "there": found.about is not None, "problem": found.problem}
    if found.about is not None:
        journal |= asdict(found.about)
        del journal["rights"]
    return {
        "payonce": health.payonce,
        "python": health.python,
        "sqlite": health.sqlite,
        "opentelemetry": health.telemetry,
        "journal": journal,
        "sdks": [asdict(sdk) | {"version": found} for sdk, found in health.sdks],
        "queues": [asdict(queue) | {"version": found} for queue, found in health.queues],
        "retry_layers": layers(health),
        "problems": health.problems,
    }
