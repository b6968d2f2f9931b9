"""Edge, inside `capture`: one billed HTTP call, from its intent to its receipt.

    begin      receipt? → the kept answer, nothing is sent
    send       by the hook's own means, once
    complete   the receipt, durable before the caller sees the answer
    fail       refused (surely not billed), or in doubt: then the SDK is kept from sending again

Written once for every hook and both colours: a hook is a `Line`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec

from payonce import policy
from payonce.capture import answers
from payonce.capture.answers import Headers
from payonce.capture.priced import bounded, receipt, warm
from payonce.capture.recognise import Billed
from payonce.capture.stream import Stream
from payonce.capture.wire import let_through
from payonce.effects import Invoke, Way
from payonce.errors import NotReplayable, Rejected
from payonce.failure.billing import never_sent
from payonce.model import CallState
from payonce.redact import mask_from_now_on
from payonce.scope import RunScope
from payonce.step import Ticket, begin, complete, fail

IN_DOUBT = "payonce_in_doubt"
"""The type of the error that an SDK is handed in place of a timeout or a dropped connection."""
NO_RETRY = ("x-should-retry", "false")
"""A header that keeps SDKs made by Stainless (OpenAI's, Anthropic's …) from sending again."""

_MAY_BE_HOPELESS = frozenset({400, 402, 403, 429})
_log = logging.getLogger("payonce")
# What repetition can't help is sent once in an attempt, whoever asks again with the same key: an
# SDK's retries, a loop around them.
_hopeless: WeakKeyDictionary[RunScope, dict[_Identity, answers.Stored]] = WeakKeyDictionary()
_Identity = tuple[str, str, tuple[str, ...]]
_sending: ContextVar[bool] = ContextVar("payonce_sending", default=False)


class Line(Protocol):
    """How a hook sends one request and reads its answer.

    An answer is whatever object the hooked library has for it. `send`, `read` and what `chunks`
    returns are called, or in an asynchronous hook awaited.
    """

    def send(self) -> Any:
        """Send the request; its answer, unread."""

    def head(self, answer: Any) -> tuple[int, Headers]:
        """Status and headers."""

    def read(self, answer: Any) -> Any:
        """The whole body as it came, still encoded; the answer is closed."""

    def chunks(self, answer: Any) -> Any:
        """A function that reads the next bytes of the body; None is the end."""

    def made(self, status: int, headers: Headers, body: bytes) -> Any:
        """An answer that never was on the wire."""

    def whole(self, answer: Any, body: bytes) -> Any:
        """The same answer with the body that was read from it."""

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""

    def unrepeated(self, answer: Any) -> Any:
        """The same answer, with `NO_RETRY`."""


@contextmanager
def sending() -> Iterator[None]:
    """A captured call is on its way: what sends it, at a lower layer, is the same call."""
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)


def is_sending() -> bool:
    """Whether the calling code is the inside of a captured call."""
    return _sending.get()


def record(scope: RunScope, billed: Billed, body: bytes, line: Line) -> Way[Any]:
    """Answer one billed call: out of the journal, or by sending it.

    Raises:
        Stop: the call must not be made.
        Rejected: all answers that may be asked for were rejected.
    """
    for secret in (*billed.sent.secrets(), *billed.sent.cookies()):
        mask_from_now_on(secret)
    asked = bounded(scope, billed.asked(body))
    if (refusal := _hopeless.get(scope, {}).get(_identity(billed, asked.key))) is not None:
        return line.made(refusal.status, refusal.headers, refusal.body)
    try:
        ticket = yield from begin(scope, asked)
    except Rejected as exc:
        raise let_through(exc, billed.wire) from None
    if ticket.receipt is not None:
        return _replayed(scope, billed, ticket, line)
    warm(scope)
    try:
        with scope.seen.inside(ticket.call):
            answer = yield Invoke(line.send)
    except BaseException as exc:
        return _unanswered(scope, billed, ticket, line, exc)
    return (yield from _answered(scope, billed, ticket, line, answer))


def _replayed(scope: RunScope, billed: Billed, ticket: Ticket, line: Line) -> Any:
    assert ticket.receipt is not None
    try:
        stored = answers.unpack(ticket.receipt)
    except ValueError as exc:
        raise scope.stop(NotReplayable(ticket.asked.name, ticket.call.id, str(exc))) from exc
    kept = (stored.status, stored.headers, stored.body)
    scope.answered(answers.read_answer(billed.wire, *kept).plain, ticket.call)
    return line.made(*kept)


def _answered(scope: RunScope, billed: Billed, ticket: Ticket, line: Line, answer: Any) -> Way[Any]:
    status, headers = line.head(answer)
    if not 200 <= status < 300:
        return (yield from _refused(scope, billed, ticket, line, answer))
    wire, splitter = billed.wire, answers.live_splitter(headers)
    if wire.event is not None and splitter is not None:
        chunks = line.chunks(answer)
        stream = Stream(scope, ticket, (status, headers), wire.event, splitter, chunks)
        return line.streamed(answer, stream)
    try:
        body = yield Invoke(lambda: line.read(answer))
    except BaseException as exc:
        return _unanswered(scope, billed, ticket, line, exc)
    yield from _keep(scope, ticket, answers.read_answer(wire, status, headers, body))
    return line.whole(answer, body)


def _keep(scope: RunScope, ticket: Ticket, read: answers.Read) -> Way[None]:
    """Make the receipt durable; an answer that holds an error instead is none."""
    if read.seen.error is not None:
        said = f"{policy.ANSWERED} {read.stored.status} with an error: {read.seen.error}"
        fail(scope, ticket, CallState.IN_DOUBT, said)
        return
    try:
        call = yield from complete(scope, ticket, receipt(scope, ticket, read))
    except BaseException:
        # Cancelled while the receipt is written: it is kept, and an equal call finds it.
        scope.free(ticket.call.step_key, ticket.call.occurrence)
        raise
    scope.answered(read.plain, call)


def _identity(billed: Billed, step_key: str) -> _Identity:
    return step_key, billed.sent.host, billed.sent.account()


def _refused(scope: RunScope, billed: Billed, ticket: Ticket, line: Line, answer: Any) -> Way[Any]:
    """The provider said no: free of charge, or who knows."""
    status, headers = line.head(answer)
    state = answers.bill_of(status)
    if state is CallState.IN_DOUBT:
        fail(scope, ticket, state, f"{policy.ANSWERED} {status}")
        return line.unrepeated(answer)
    fail(scope, ticket, state, f"HTTP {status}")
    if status not in _MAY_BE_HOPELESS:
        return answer
    body = yield Invoke(lambda: line.read(answer))
    whole = line.whole(answer, body)
    if not answers.is_hopeless(headers, body):
        return whole
    stored = answers.Stored(status, tuple(answers.end_to_end(headers)), body)
    _hopeless.setdefault(scope, {})[_identity(billed, ticket.asked.key)] = stored
    return line.unrepeated(whole)


def _unanswered(
    scope: RunScope, billed: Billed, ticket: Ticket, line: Line, exc: BaseException
) -> Any:
    """No answer came: what is known of the bill, and what the SDK is told.

    An SDK that would send again is handed an error that it doesn't repeat.
    """
    name = type(exc).__name__
    if never_sent(exc):
        fail(scope, ticket, CallState.RELEASED, name)
        raise exc
    fail(scope, ticket, CallState.IN_DOUBT, name)
    if not isinstance(exc, Exception) or not billed.sent.from_sdk:
        raise exc
    said = (
        f"{ticket.asked.name} ended with {name} after it was sent, so it may have been billed "
        f"(call {ticket.call.id} is in doubt); payonce keeps it from being sent again at once."
    )
    _log.warning("%s", said)
    body = msgspec.json.encode(billed.wire.refusal(IN_DOUBT, said))
    return line.made(504, [("content-type", "application/json"), NO_RETRY], body)
