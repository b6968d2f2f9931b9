"""Workers that take a queue's deliveries of courses; each is forked, with a plan for its death.

The first process (`main`) makes workers and ends them as it is told on its standard input, and
tells on its standard output what became of them. All workers accept from one socket, as behind a
load balancer; each is a threaded WSGI server with payonce's adapter around it.
"""

import json
import os
import selectors
import signal
import socket
import sys
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import crash
import guard
from courses import JOBS, app, deliver

from payonce.queues.wsgi import DeliveryMiddleware

_plan: dict[str, Any] = {}


class Server(ThreadingMixIn, WSGIServer):
    """Serves many deliveries at once from a socket that it was given."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("127.0.0.1", 0), Quiet, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = "127.0.0.1", listening.getsockname()[1]
        self.setup_environ()


class Quiet(WSGIRequestHandler):
    """Logs nothing; sends head and body together, for a head that is cut looks like a whole one."""

    wbufsize = 1 << 16

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the queue has it all."""


def handler(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The endpoint that the queue pushes to."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    told = json.loads(body)
    if told["course"] == _plan.get("course"):
        crash.arm(_plan["point"], _plan["passes"])
    value = deliver(told["job"], told["course"])
    said = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(said)))]
    start_response("200 OK", headers)
    return [said]


def acknowledged(inner: Any) -> Any:
    """The last of the named points: all is done, and the queue hasn't heard."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        chunks = list(inner(environ, start_response))
        crash.at("before-ack")
        return chunks

    return wrapped


def work(listening: socket.socket, plan: dict[str, Any], parent: int) -> None:
    """Be one worker, until killed."""
    guard.die_with(parent)
    if plan.get("host"):
        socket.gethostname = lambda: plan["host"]
    _plan.update(plan)
    if "course" not in plan:
        crash.arm(plan.get("point"), plan.get("passes", 0))
    crash.instrument(app)
    server = Server(listening)
    server.set_app(acknowledged(DeliveryMiddleware(handler, app=app, queue="cloud-tasks")))
    server.serve_forever(0.05)


def say(**told: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class Parent:
    """Forks workers, sends them signals, reaps them."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._working: set[int] = set()

    def obey(self, order: dict[str, Any]) -> None:
        """Do what one line of standard input asks for."""
        if "plan" in order:
            self._fork(order["plan"])
        elif order["pid"] in self._working:  # not reaped yet: the id is still that worker's
            os.kill(order["pid"], order["signal"])

    def _fork(self, plan: dict[str, Any]) -> None:
        me = os.getpid()
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                work(self._listening, plan, me)
            finally:
                os._exit(1)
        self._working.add(pid)
        say(pid=pid, **plan)

    def reap(self) -> None:
        """Tell of each worker that ended."""
        while self._working:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._working.discard(pid)
            say(ended=pid, code=os.waitstatus_to_exitcode(status))

    def end(self) -> None:
        """End and reap all."""
        for pid in self._working:
            os.kill(pid, signal.SIGKILL)
        for pid in self._working:
            os.waitpid(pid, 0)


def main() -> None:
    """Obey until standard input ends."""
    guard.die_with(int(os.environ["PARENT_PID"]))
    listening = socket.socket(fileno=int(sys.argv[1]))
    listening.setblocking(False)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(awake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    parent, buffer = Parent(listening), b""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(awake, selectors.EVENT_READ)
    if os.environ.get("OPENED_BEFORE_FORK"):
        app.journal.find(JOBS[0], "opened before the fork")
    say(ready=True)
    while True:
        for key, _ in selector.select():
            if key.fd == awake:
                os.read(awake, 4096)
                parent.reap()
                continue
            data = os.read(0, 65536)
            if not data:
                return parent.end()
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                parent.obey(json.loads(line))


if __name__ == "__main__":
    main()
