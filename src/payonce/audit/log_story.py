"""Reading, for `audit`: deliveries and their calls, put together from the lines of one log.

A call or an error belongs to the delivery that its line names, by task, trace or worker; else to
the only one that is being worked on. Where several are, and nothing tells them apart, it belongs
to none.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from payonce.audit.log_lines import Event, events, moment_in, provider_of, scope_in, task_in
from payonce.audit.wording import TIMELESS

_ERRORS, _BOUND, _HELD, _UNTOLD, _AT_WORK = 4, 50_000, 2000, 64, 2000
_HTTP = ("cloud-tasks", "queue")
_SILENT = ("cloud-tasks", "queue", "sqs")
_NO_END = "no end was told"
_DAWN = 946_684_800_000_000


@dataclass(slots=True)
class _Attempt:
    id: str
    task: str
    queue: str
    number: int | None
    began: int | None
    trace: str | None
    seen: int | None
    errors: int = 0
    ended: int | None = None
    failed: bool | None = None
    status: str | None = None
    url: str | None = None


_Row = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Story:
    """The story of one log; what is known is taken out by `taken`, bit by bit.

    Where no line has a time its lines are put in their order from the year 2000 on; see `TIMELESS`.
    """

    source: int
    _open: dict[str, _Attempt] = field(default_factory=dict)
    _scopes: dict[str, str] = field(default_factory=dict)
    _traces: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _pending: list[Event] = field(default_factory=list)
    _last: _Attempt | None = None
    _line: _Attempt | None = None
    _now: int | None = None
    _count: int = 0
    _answers: bool = False
    _calls: bool = False
    _untold: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    _size: int = 0
    _held: dict[str, list[_Row]] = field(default_factory=dict)
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def read(self, at: int | None, trace: str | None, scope: str | None, text: str) -> int:
        """Read on; the number of rows that wait to be taken."""
        at = at or moment_in(text)
        goes_on = at is None
        self._now = at or self._now
        if self._now is None or self._now < TIMELESS:
            self._now = (self._now or _DAWN) + 1000
        scope = scope or scope_in(text)
        trace = trace.rpartition("/")[2] if trace else None
        for event in events(text):
            task = event.task or task_in(text)
            if event.kind == "start" and task is not None:
                self._start(event, task, trace)
            if task is not None and scope is not None and task in self._open:
                self._scopes[scope] = task
            if not (goes_on and event.kind == "error" and self._line is not None):
                self._line = self._happens(event, task, trace, scope)
            else:
                self._error(event, self._line, trace)
        return self._size

    def taken(self) -> dict[str, list[dict[str, Any]]]:
        """Take what is known: rows of `deliveries`, `calls` and `errors`; not what may grow yet."""
        kept = {id(row) for rows in self._untold.values() for row in rows}
        calls = self._rows.pop("calls", [])
        rows, self._rows = self._rows, {}
        if found := [row for row in calls if id(row) not in kept]:
            rows["calls"] = found
        if waiting := [row for row in calls if id(row) in kept]:
            self._rows["calls"] = waiting
        self._size = 0
        return rows

    def end(self) -> None:
        """The log ends: what is at work still has no end, and failed if errors were told."""
        self._untold.clear()
        for scope in list(self._held):
            self._let_go(scope, None)
        for attempt in list(self._open.values()):
            self._close(attempt, attempt.errors > 0 or None, None, at=attempt.seen)

    def _start(self, event: Event, task: str, trace: str | None) -> None:
        number = event.tries if event.tries is None or event.from_one else event.tries + 1
        before = self._open.get(task)
        if before is not None:
            if event.queue != "celery" and number in (None, before.number):
                return
            self._close(before, True, _NO_END, at=before.seen)
        self._end_those_that_failed(event)
        if len(self._open) >= _AT_WORK:
            oldest = next(iter(self._open.values()))
            self._close(oldest, oldest.errors > 0 or None, None, at=oldest.seen)
        self._count += 1
        identity = f"line:{self.source}:{self._count}"
        self._open[task] = _Attempt(
            identity, task, event.queue, number, self._now, trace, self._now
        )
        self._last = None
        if trace is not None:
            self._traces[trace] = task
            if len(self._traces) > _BOUND:
                self._traces.popitem(last=False)

    def _happens(
        self, event: Event, task: str | None, trace: str | None, scope: str | None
    ) -> _Attempt | None:
        """Take an event in; the delivery that it belongs to, if one can tell."""
        attempt = self._whose(task, trace, scope)
        if attempt is not None:
            attempt.seen = self._now
        match event.kind:
            case "call" | "resend":
                row = self._call(event, attempt, trace)
                bound = self._scopes.get(scope or "") in self._open
                self._add("calls", row, None if bound else scope)
                if event.kind == "call" and row["paid"]:
                    self._await_usage(row, attempt, scope)
            case "usage":
                self._used(event, attempt, trace, scope)
            case "error":
                self._error(event, attempt or self._last, trace)
            case "end" if task is not None:
                if task in self._open:
                    self._let_go(scope, self._open[task])
                    ended = self._open[task]
                    failed = ended.errors > 0 if event.failed is None else event.failed
                    self._close(ended, failed, event.status)
            case "end":
                self._answered(event, trace)
        return attempt

    def _whose(self, task: str | None, trace: str | None, scope: str | None) -> _Attempt | None:
        for key in (task, self._traces.get(trace or ""), self._scopes.get(scope or "")):
            if key is not None and key in self._open:
                return self._open[key]
        if task is not None:
            return None
        return next(iter(self._open.values())) if len(self._open) == 1 else None

    def _answered(self, event: Event, trace: str | None) -> None:
        """A web server's line ends the only delivery at work, or all once all are answered."""
        self._answers = True
        working = [each for each in self._open.values() if each.queue in _HTTP]
        known = self._open.get(self._traces.get(trace or "", ""))
        if known is not None:
            known.url = event.url
            self._close(known, event.failed, event.status)
            return
        self._pending.append(event)
        if len(self._pending) < len(working):
            return
        same = len({each.failed for each in self._pending}) == 1
        for attempt in working:
            attempt.url = event.url
            self._close(attempt, event.failed if same else None, event.status if same else None)
        self._pending.clear()

    def _end_those_that_failed(self, event: Event) -> None:
        """Where a log tells of no ends, a delivery with an error ends before the next begins."""
        if self._answers or event.queue not in _SILENT:
            return
        for attempt in [each for each in self._open.values() if each.errors]:
            self._close(attempt, True, _NO_END, at=attempt.seen)

    def _close(
        self,
        attempt: _Attempt,
        failed: bool | None,
        status: str | None,
        at: int | None = None,
    ) -> None:
        attempt.ended, attempt.failed, attempt.status = at or self._now, failed, status
        del self._open[attempt.task]
        self._untold.pop(attempt.id, None)
        self._last = attempt
        row = {
            name: getattr(attempt, name)
            for name in _Attempt.__slots__
            if name not in ("errors", "seen")
        }
        self._add("deliveries", {"source": self.source, **row})

    def _call(self, event: Event, attempt: _Attempt | None, trace: str | None) -> dict[str, Any]:
        self._count += 1
        return {
            "source": self.source,
            "id": f"{self.source}:{self._count}",
            "delivery": attempt.id if attempt else None,
            "task": attempt.task if attempt else None,
            "trace": trace,
            "began": self._now,
            "provider": provider_of(event.url) if event.url else None,
            "model": event.model,
            "tokens_in": event.tokens[0] if event.tokens else None,
            "tokens_out": event.tokens[1] if event.tokens else None,
            "paid": event.kind in ("call", "usage") and not event.failed,
            "resends": 1 if event.kind == "resend" else None,
        }

    def _await_usage(
        self, row: dict[str, Any], attempt: _Attempt | None, scope: str | None
    ) -> None:
        self._calls = True
        key = attempt.id if attempt else scope or ""
        if key not in self._untold and len(self._untold) >= _AT_WORK:
            del self._untold[next(iter(self._untold))]
        self._untold.setdefault(key, deque(maxlen=_UNTOLD)).append(row)

    def _used(
        self, event: Event, attempt: _Attempt | None, trace: str | None, scope: str | None
    ) -> None:
        """A usage is that of the first call that has none yet; in a log without calls it is one."""
        key = attempt.id if attempt else scope or ""
        if waiting := self._untold.get(key):
            row = waiting.popleft()
            row["model"] = event.model
            row["tokens_in"], row["tokens_out"] = event.tokens or (None, None)
        elif not self._calls:
            bound = self._scopes.get(scope or "") in self._open
            self._add("calls", self._call(event, attempt, trace), None if bound else scope)

    def _error(self, event: Event, attempt: _Attempt | None, trace: str | None) -> None:
        if attempt is not None:
            attempt.errors += 1
            if attempt.errors > _ERRORS:
                return
        self._add(
            "errors",
            {
                "source": self.source,
                "delivery": attempt.id if attempt else None,
                "task": attempt.task if attempt else None,
                "trace": trace,
                "began": self._now,
                "text": event.text,
            },
        )

    def _add(self, table: str, row: dict[str, Any], scope: str | None = None) -> None:
        """Add a row, or hold it until the worker that wrote it says which task it has ended."""
        if scope is None:
            self._rows.setdefault(table, []).append(row)
            self._size += 1
            return
        held = self._held.setdefault(scope, [])
        held.append((table, row))
        if len(held) >= _HELD:
            self._let_go(scope, None)

    def _let_go(self, scope: str | None, attempt: _Attempt | None) -> None:
        """What a worker did since it last ended a task was for the task that it ends now."""
        for table, row in self._held.pop(scope or "", []):
            if attempt is not None:
                row |= {"delivery": attempt.id, "task": attempt.task}
            self._add(table, row)


def tables() -> Iterator[str]:
    """The tables that a story has rows for."""
    yield from ("deliveries", "calls", "errors")
