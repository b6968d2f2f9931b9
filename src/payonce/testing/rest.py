"""Testing: some billed API that is no model: a POST of a form or JSON that honours keys.

It is what `app.capture(hosts=...)` and `@app.step` are for: a charge, a message, a report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.bill import BilledCall
from payonce.testing.faults import Fault
from payonce.testing.prices import Price
from payonce.testing.wire import Refusal, Wire, Words, told

ROOT = "/rest/"
_TYPES = {
    402: "card_error",
    409: "idempotency_error",
    429: "rate_limit_error",
}
_CODES = {402: "card_declined", 429: "rate_limit"}


class RestErrors(Words):
    """The errors of that API."""

    provider = "rest"
    id_header = "request-id"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"error": {type, code, message}}`; an account without money is a 402."""
        if fault.code == "insufficient_quota":
            fault = replace(fault, status=402, code="insufficient_funds")
        code, status = fault.code or _CODES.get(fault.status), fault.status
        kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        if code == "idempotency_error":
            kind, code = code, None
        error = {"type": kind, "code": code, "message": told(fault, code or kind)}
        return Refusal(status, {"error": error})


class Rest(RestErrors, Wire):
    """`POST /rest/…/{collection}`; an NDJSON stream where that is accepted."""

    stream_kind = "application/x-ndjson"
    price = Price("0", "0", call="0.05")
    honours_keys = True

    def read(self, request: Request) -> Ask:
        """Read a form or a JSON object; its strings are the prompt."""
        form = "json" not in request.headers.get("content-type", "")
        sent: Mapping[str, Any] = request.form().fields if form else request.json()
        accepted = request.headers.get("accept", "")
        stream = "ndjson" in accepted or sent.get("stream") is True
        collection = request.names.get("collection", "").removesuffix(".json")
        body = {"model": collection, "stream": stream, "sent": sent}
        return Ask.of(self.provider, body, list(_strings(sent)))

    def output_tokens(self, answer: Answer) -> int:
        """There are none: each call has its price."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """The resource that was made: what was sent, with an id and a status."""
        kind = answer.ask.model.lower().removesuffix("s")
        made = {"id": f"{kind[:2]}_{answer.id}", "object": kind, "created": answer.created}
        return {**answer.ask.body["sent"], **made, "status": "succeeded", "note": answer.text}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """One line of JSON for each piece, and one that is done."""
        for piece in answer.pieces:
            yield _line({"model": answer.ask.model, "response": piece, "done": False})
        yield _line({**self.whole(answer), "response": "", "done": True})

    def error_event(self, fault: Fault, id: str) -> bytes:
        """A line with an error."""
        return _line(self.refusal(fault, id).body)


def listed(path: str, query: str, bill: list[BilledCall]) -> Body:
    """What was paid for at a path, for a caller that asks whether it happened.

    `?idempotency_key=` narrows it down.
    """
    keys = parse_qs(query).get("idempotency_key")
    calls = [c for c in bill if c.path == path and (keys is None or c.idempotency_key in keys)]
    data = [{"n": c.n, "label": c.label, "idempotency_key": c.idempotency_key} for c in calls]
    return {"object": "list", "data": data}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _line(data: Body) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode() + b"\n"
