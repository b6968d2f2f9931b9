"""Testing: one HTTP exchange of the metered provider, and how it is broken off."""

from __future__ import annotations

import json
import socket
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import islice
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast

from payonce.testing import control, free, rest
from payonce.testing.asking import Answer, Body, Request
from payonce.testing.bill import BilledCall
from payonce.testing.desk import Desk
from payonce.testing.faults import Fault
from payonce.testing.idempotency import KeyMisused
from payonce.testing.routes import Route, route_of, words_at
from payonce.testing.wire import Blob, Wire, Words

_GZIP = 31
_PART = 1024


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
            _close(connection)


class Exchange(BaseHTTPRequestHandler):
    """Requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _number: int | None
    _request: Request
    _words: Words

    @property
    def desk(self) -> Desk:
        """What all requests share."""
        return cast(ProviderServer, self.server).desk

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: `requests` has it all."""

    def do_GET(self) -> None:
        """Answer the control endpoint, and what asks for something; nothing here is billed."""
        self._begin()
        if self.path.startswith(control.ROOT):
            return self._json(*control.answer("GET", self.path, b"", self.desk))
        path, query = self._request.path, self.path.partition("?")[2]
        if path.startswith(rest.ROOT):
            self._number = self.desk.arrive("", self._request)
            return self._json(200, rest.listed(path, query, self.desk.bill.calls))
        return self._give("GET")

    def do_POST(self) -> None:
        """Answer a paid call, one that costs nothing, or the control endpoint."""
        self._begin()
        if self.path.startswith(control.ROOT):
            said = control.answer("POST", self.path, self._request.content, self.desk)
            return self._json(*said)
        route = None if free.known("POST", self._request) else route_of(self._request.path)
        return self._give("POST") if route is None else self._sell(route)

    def do_PUT(self) -> None:
        """Answer as a POST."""
        self.do_POST()

    def do_PATCH(self) -> None:
        """Answer as a POST."""
        self.do_POST()

    def _give(self, method: str) -> None:
        self._number = self.desk.arrive("", self._request)
        said = free.answer(method, self._request)
        if said is None:
            return self._refuse(Fault("status", status=404, code="unknown_url"))
        return self._json(200, said)

    def _begin(self) -> None:
        self._number = None
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._words = words_at(path)
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
        self._words, wire = route.wire, route.wire
        request = replace(self._request, names=route.names)
        try:
            ask = wire.read(request)
        except ValueError as exc:
            self._number = self.desk.arrive("", request)
            return self._refuse(Fault("status", status=400, message=str(exc)))
        self._number = self.desk.arrive(ask.label, request)
        fault = self.desk.faults.take(ask.label)
        try:
            answer, call = self.desk.serve(wire, ask, fault, request)
        except KeyMisused as exc:
            said = f"Keys for idempotent requests can only be used with one request: {exc}"
            return self._refuse(Fault("status", status=400, code="idempotency_error", message=said))
        if fault.ending == "answer" and fault.after_events and ask.stream:
            return self._stream(wire.stream_kind, self._paused(wire.events(answer), fault, call))
        self.desk.pause(fault, call)
        return self._end(wire, answer, fault)

    def _paused(
        self, frames: Iterator[bytes], fault: Fault, call: BilledCall | None
    ) -> Iterator[bytes]:
        yield from islice(frames, fault.after_events)
        self.desk.pause(fault, call)
        yield from frames

    def _end(self, wire: Wire, answer: Answer, fault: Fault) -> None:
        stream = answer.ask.stream
        match fault.ending:
            case "drop":
                self._hang_up()
            case "status":
                self._refuse(fault)
            case "error_event" if not stream:
                self._refuse(fault)
            case "error_event":
                said = wire.error_event(fault, self._request_id)
                self._stream(
                    wire.stream_kind, [*islice(wire.events(answer), fault.after_events), said]
                )
            case "cut" if stream:
                self._stream(
                    wire.stream_kind, islice(wire.events(answer), fault.after_events), cut=True
                )
            case "answer" if stream:
                self._stream(wire.stream_kind, wire.events(answer))
            case _:
                whole = wire.whole(answer)
                cut = fault.ending == "cut"
                if isinstance(whole, Blob):
                    self._send(200, whole, {}, cut=cut)
                else:
                    self._json(200, whole, cut=cut)

    def _refuse(self, fault: Fault) -> None:
        refusal = self._words.refusal(fault, self._request_id)
        headers = {**refusal.headers, **dict(fault.headers)}
        if fault.retry_after is not None:
            headers["retry-after"] = str(-int(-fault.retry_after // 1))
            if fault.retry_after % 1:
                headers["retry-after-ms"] = str(round(fault.retry_after * 1000))
        self._json(refusal.status, refusal.body, headers)

    def _json(
        self, status: int, body: Body, headers: Mapping[str, str] | None = None, cut: bool = False
    ) -> None:
        content = json.dumps(body, ensure_ascii=False).encode()
        self._send(status, Blob("application/json", content), headers or {}, cut=cut)

    def _send(self, status: int, blob: Blob, headers: Mapping[str, str], *, cut: bool) -> None:
        if blob.chunked:
            end = len(blob.content) // 2 if cut else len(blob.content)
            parts = (blob.content[at : min(at + _PART, end)] for at in range(0, end, _PART))
            return self._stream(blob.kind, parts, cut=cut)
        content, packing = blob.content, self._packing()
        if packing is not None:
            content = packing.compress(content) + packing.flush()
        size = {"content-type": blob.kind, "content-length": str(len(content))}
        self._head(status, {**size, **headers}, packed=packing is not None)
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self._hang_up()

    def _stream(self, kind: str, frames: Iterable[bytes], cut: bool = False) -> None:
        packing = self._packing()
        headers = {"content-type": kind, "transfer-encoding": "chunked"}
        self._head(200, headers, packed=packing is not None)
        for frame in frames:
            if packing is not None:
                frame = packing.compress(frame) + packing.flush(zlib.Z_SYNC_FLUSH)
            self._chunk(frame)
        if cut:
            return self._hang_up()
        if packing is not None:
            self._chunk(packing.flush())
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: Mapping[str, str], *, packed: bool) -> None:
        if self._number is not None:
            self.desk.note(self._number, status)
        self.send_response(status)
        self.send_header(self._words.id_header, self._request_id)
        for name, value in headers.items():
            self.send_header(name, value)
        if packed:
            self.send_header("content-encoding", "gzip")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _packing(self) -> zlib._Compress | None:
        accepted = "gzip" in self._request.headers.get("accept-encoding", "")
        return zlib.compressobj(wbits=_GZIP) if accepted and self.desk.gzip else None

    @property
    def _request_id(self) -> str:
        return f"req_{0 if self._number is None else self._number + 1:08d}"

    def _hang_up(self) -> None:
        self.close_connection = True
        _close(self.connection)


def _close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
