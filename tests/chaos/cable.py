"""A cable to a server: a process that passes bytes on, and can be cut in two ways.

Stopped (SIGSTOP) it swallows everything without a word, as a network does that drops packets;
killed it resets what is connected and refuses what comes.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.chaos.apps import guard
from tests.databases.postgres import free_port

_ROOT = Path(__file__).parents[2]


class Cable:
    """What connects a free port with a server's."""

    def __init__(self, port: int) -> None:
        self._to, self.port = port, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.mend()

    def mend(self) -> None:
        """Let all through, whatever was cut."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            return
        self.stop()
        command = [sys.executable, "-m", __name__, str(self.port), str(self._to), str(os.getpid())]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def swallow(self) -> None:
        """Let nothing through, and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def cut(self) -> None:
        """Break all connections, and refuse further ones."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


def main() -> None:
    """Pass bytes on until the test ends, even when that finds it stopped."""
    guard.die_with(int(sys.argv[3]))
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("ready", flush=True)
    selector, other = selectors.DefaultSelector(), dict[socket.socket, socket.socket]()
    selector.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                _connect(listening, int(sys.argv[2]), selector, other)
            elif (one := key.fileobj) in other:
                _pass_on(one, selector, other)  # type: ignore[arg-type]


def _connect(
    listening: socket.socket,
    port: int,
    selector: selectors.BaseSelector,
    other: dict[socket.socket, socket.socket],
) -> None:
    client, _ = listening.accept()
    try:
        server = socket.create_connection(("127.0.0.1", port))
    except OSError:
        client.close()
        return
    for one, end in ((client, server), (server, client)):
        other[one] = end
        selector.register(one, selectors.EVENT_READ)


def _pass_on(
    one: socket.socket,
    selector: selectors.BaseSelector,
    other: dict[socket.socket, socket.socket],
) -> None:
    data = b""
    with suppress(OSError):
        data = one.recv(65536)
        other[one].sendall(data)
    if not data:
        for end in (other.pop(one), one):
            other.pop(end, None)
            selector.unregister(end)
            end.close()


if __name__ == "__main__":
    main()
