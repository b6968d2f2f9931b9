"""A wire between a client and a provider that keeps every byte that the client sends."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress

_BOUNDARY = re.compile(rb"boundary=([0-9a-f]{32})")


class Tap:
    """Passes bytes on in both directions; `sent` has those of the client, by connection."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._there = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._connections: list[bytearray] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def taken(self) -> list[bytes]:
        """What was sent since it was last taken, a multipart boundary's random name aside."""
        found, self._connections = [bytes(each) for each in self._connections], []
        return [_plain(each) for each in found]

    def stop(self) -> None:
        """Let go of the sockets."""
        self._listening.close()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            provider = socket.create_connection(self._there)
            self._open += [client, provider]
            kept = bytearray()
            self._connections.append(kept)
            for source, target, keep in ((client, provider, kept), (provider, client, None)):
                threading.Thread(target=_pump, args=(source, target, keep), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _plain(sent: bytes) -> bytes:
    for boundary in set(_BOUNDARY.findall(sent)):
        sent = sent.replace(boundary, b"boundary")
    return sent
