"""Testing: one HTTP exchange of the metered provider: what is asked, sold and refused."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast

from payonce.testing import control, free, rest
from payonce.testing.asking import Answer, Request
from payonce.testing.bill import BilledCall
from payonce.testing.desk import Desk
from payonce.testing.faults import Fault
from payonce.testing.idempotency import KeyMisused
from payonce.testing.line import Line, close
from payonce.testing.routes import Route, route_of, words_at
from payonce.testing.wire import Blob, Wire

# What a request with values in wrong places runs into, besides what a format says of it.
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError)


class ProviderServer(ThreadingMixIn, TCPServer):
    """The socket, and the connections that `disconnect` closes."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, desk: Desk) -> None:
        self.desk = desk
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in mind and serve it on a thread of its own."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report; anything else is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def disconnect(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in list(self._open):
            close(connection)


class Exchange(Line):
    """Requests of one connection, one after the other."""

    _request: Request

    def setup(self) -> None:
        """Begin with what all requests share."""
        self.desk = cast(ProviderServer, self.server).desk
        super().setup()

    def do_GET(self) -> None:
        """Answer the control endpoint, and what asks for something; nothing here is billed."""
        self._begin()
        if self.path.startswith(control.ROOT):
            return self.say(*control.answer("GET", self.path, b"", self.desk), {})
        path, query = self._request.path, self.path.partition("?")[2]
        if path.startswith(rest.ROOT):
            self.number = self.desk.arrive("", self._request)
            return self.say(200, rest.listed(path, query, self.desk.bill.calls), {})
        return self._give("GET")

    def do_POST(self) -> None:
        """Answer a paid call, one that costs nothing, or the control endpoint."""
        self._begin()
        if self.path.startswith(control.ROOT):
            said = control.answer("POST", self.path, self._request.content, self.desk)
            return self.say(*said, {})
        route = None if free.known("POST", self._request) else route_of(self._request.path)
        return self._give("POST") if route is None else self._sell(route)

    def do_PUT(self) -> None:
        """Answer as a POST."""
        self.do_POST()

    def do_PATCH(self) -> None:
        """Answer as a POST."""
        self.do_POST()

    def _give(self, method: str) -> None:
        self.number = self.desk.arrive("", self._request)
        try:
            said = free.answer(method, self._request)
        except _MALFORMED as exc:
            return self._malformed(exc)
        if said is None:
            return self._refuse(Fault("status", status=404, code="unknown_url"))
        return self.say(200, said, {})

    def _malformed(self, exc: Exception) -> None:
        told = (
            str(exc) if isinstance(exc, ValueError) else f"a field is malformed or missing: {exc}"
        )
        self._refuse(Fault("status", status=400, message=told))

    def _begin(self) -> None:
        self.number = None
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.words = words_at(path)
        self.asked = headers
        self._request = Request(path, self._content(headers), headers)

    def _content(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _sell(self, route: Route) -> None:
        self.words, wire = route.wire, route.wire
        request = replace(self._request, names=route.names)
        try:
            ask = wire.read(request)
        except _MALFORMED as exc:
            self.number = self.desk.arrive("", request)
            return self._malformed(exc)
        self.number = self.desk.arrive(ask.label, request)
        fault = self.desk.faults.take(ask.label)
        try:
            answer, call = self.desk.serve(wire, ask, fault, request)
        except KeyMisused as exc:
            said = f"Keys for idempotent requests can only be used with one request: {exc}"
            return self._refuse(Fault("status", status=400, code="idempotency_error", message=said))
        if fault.ending == "answer" and fault.after_events is not None and ask.stream:
            frames = self._paused(wire.events(answer), fault, call)
            return self.stream(wire.stream_kind, frames, pace=fault.pace)
        self.desk.pause(fault, call)
        if ask.stream and fault.ending in ("answer", "cut", "error_event"):
            return self._end_stream(wire, answer, fault)
        return self._end(wire, answer, fault)

    def _paused(
        self, frames: Iterator[bytes], fault: Fault, call: BilledCall | None
    ) -> Iterator[bytes]:
        yield from islice(frames, fault.after_events)
        self.desk.pause(fault, call)
        yield from frames

    def _end_stream(self, wire: Wire, answer: Answer, fault: Fault) -> None:
        frames, hang_up = wire.events(answer), None
        if fault.ending != "answer":
            frames = islice(frames, fault.after_events or 0)
        if fault.ending == "error_event":
            frames = chain(frames, [wire.error_event(fault, self.id)])
        if fault.ending == "cut":
            hang_up = fault.hang_up
        self.stream(wire.stream_kind, frames, pace=fault.pace, hang_up=hang_up)

    def _end(self, wire: Wire, answer: Answer, fault: Fault) -> None:
        if fault.ending == "drop":
            return self.break_off(fault.hang_up)
        if fault.ending in ("status", "error_event"):
            return self._refuse(fault)
        hang_up = fault.hang_up if fault.ending == "cut" else None
        whole = wire.whole(answer)
        if isinstance(whole, Blob):
            return self.send(200, whole, {}, hang_up)
        return self.say(200, whole, {}, hang_up)

    def _refuse(self, fault: Fault) -> None:
        if fault.ending == "status" and fault.text is not None:
            page = Blob("text/html; charset=utf-8", fault.text.encode())
            return self.send(fault.status, page, dict(fault.headers))
        refusal = self.words.refusal(fault, self.id)
        headers = {**refusal.headers, **dict(fault.headers)}
        if fault.retry_after is not None:
            headers["retry-after"] = str(-int(-fault.retry_after // 1))
            if fault.retry_after % 1:
                headers["retry-after-ms"] = str(round(fault.retry_after * 1000))
        return self.say(refusal.status, refusal.body, headers)
