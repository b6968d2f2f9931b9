"""Testing: how a provider in another process is told its faults and asked what it saw."""

from __future__ import annotations

import http.client
import json
from dataclasses import asdict
from typing import Any

from payonce.testing.asking import Body
from payonce.testing.desk import Desk, SeenRequest
from payonce.testing.faults import Fault

ROOT = "/_control/"
_TIMEOUT = 10.0


def answer(method: str, path: str, body: bytes, desk: Desk) -> tuple[int, Body]:
    """Do what a control request asks for."""
    match method, path.removeprefix(ROOT):
        case "POST", "fail":
            try:
                queue_fault(json.loads(body), desk)
            except (ValueError, TypeError, AttributeError) as exc:
                return 400, {"error": str(exc)}
            return 200, {}
        case "POST", "heal":
            desk.faults.clear()
            return 200, {}
        case "GET", "requests":
            return 200, {"requests": [asdict(seen) for seen in desk.seen]}
    return 404, {"error": f"there is no {method} {path}"}


def queue_fault(order: dict[str, Any], desk: Desk) -> None:
    """Queue a fault written as `{"label", "times", …}` and the fields of a fault.

    Raises:
        ValueError: a field is not known.
    """
    values = dict(order)
    label, times = values.pop("label", None), values.pop("times", 1)
    desk.faults.add(label, Fault.from_json(values), times)


class Control:
    """The other end: the control endpoint of the provider on `port`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def fail(self, label: str | None, fault: Fault, times: int | None) -> None:
        """Queue a fault there."""
        self._send("POST", "fail", {"label": label, "times": times, **fault.to_json()})

    def heal(self) -> None:
        """Make it forget all faults."""
        self._send("POST", "heal", {})

    def requests(self) -> list[SeenRequest]:
        """All physical requests that it saw."""
        return [SeenRequest(**seen) for seen in self._send("GET", "requests")["requests"]]

    def _send(self, method: str, verb: str, body: Body | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, ROOT + verb, content)
            response = connection.getresponse()
            said = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(said["error"])
        return said
