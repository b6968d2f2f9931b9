"""Testing: how an answer goes out: whole, in chunks, slowly, or broken off."""

from __future__ import annotations

import json
import os
import socket
import struct
import zlib
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from payonce.testing.asking import Body
from payonce.testing.desk import Desk
from payonce.testing.faults import HangUp
from payonce.testing.wire import Blob, Words

_GZIP = 31
_PART = 1024
_NO_LINGER = struct.pack("ii", 1, 0)


class Line(BaseHTTPRequestHandler):
    """The sending end of one connection; `hang_up` says how an answer is broken off, if it is."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    desk: Desk
    words: Words
    number: int | None
    asked: Mapping[str, str]

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: `requests` has it all."""

    @property
    def id(self) -> str:
        """The id of the request that is answered."""
        return f"req_{0 if self.number is None else self.number + 1:08d}"

    def say(
        self, status: int, body: Body, headers: Mapping[str, str], hang_up: HangUp | None = None
    ) -> None:
        """Answer with JSON."""
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send(status, Blob("application/json", content), headers, hang_up)

    def send(
        self, status: int, blob: Blob, headers: Mapping[str, str], hang_up: HangUp | None = None
    ) -> None:
        """Answer with bytes; broken off, with half of them."""
        half = len(blob.content) // 2
        if blob.chunked:
            end = len(blob.content) if hang_up is None else half
            parts = (blob.content[at : min(at + _PART, end)] for at in range(0, end, _PART))
            return self.stream(blob.kind, parts, hang_up=hang_up)
        content, packing = blob.content[: half if hang_up == "finish" else None], self._packing()
        if packing is not None:
            content = packing.compress(content) + packing.flush()
        size = {"content-type": blob.kind, "content-length": str(len(content))}
        self._head(status, {**size, **headers}, packed=packing is not None)
        if hang_up in (None, "finish"):
            self.wfile.write(content)
        else:
            self.wfile.write(content[: len(content) // 2])
            self.break_off(hang_up)

    def stream(
        self,
        kind: str,
        frames: Iterable[bytes],
        *,
        pace: float = 0.0,
        hang_up: HangUp | None = None,
    ) -> None:
        """Answer with one frame after the other, `pace` seconds apart."""
        packing = self._packing()
        headers = {"content-type": kind, "transfer-encoding": "chunked"}
        self._head(200, headers, packed=packing is not None)
        for number, frame in enumerate(frames):
            if pace and number:
                self.desk.stopping.wait(pace)
            if packing is not None:
                frame = packing.compress(frame) + packing.flush(zlib.Z_SYNC_FLUSH)
            self._chunks(frame)
        if hang_up not in (None, "finish"):
            return self.break_off(hang_up)
        if packing is not None:
            self._chunks(packing.flush())
        self.wfile.write(b"0\r\n\r\n")

    def break_off(self, how: HangUp | None) -> None:
        """Close the connection, or reset it, so that what was sent may be lost as well."""
        self.close_connection = True
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            os.close(self.connection.detach())
        else:
            close(self.connection)

    def _head(self, status: int, headers: Mapping[str, str], *, packed: bool) -> None:
        if self.number is not None:
            self.desk.note(self.number, status)
        self.send_response(status)
        self.send_header(self.words.id_header, self.id)
        for name, value in headers.items():
            self.send_header(name, value)
        if packed:
            self.send_header("content-encoding", "gzip")
        self.end_headers()

    def _chunks(self, data: bytes) -> None:
        size = self.desk.fragment or len(data) or 1
        for at in range(0, len(data), size):
            part = data[at : at + size]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

    def _packing(self) -> zlib._Compress | None:
        accepted = "gzip" in self.asked.get("accept-encoding", "")
        return zlib.compressobj(wbits=_GZIP) if accepted and self.desk.gzip else None


def close(connection: socket.socket) -> None:
    """End a connection from both sides."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
