"""Edge: readiness checks for load balancers and orchestrators, over ASGI and WSGI.

Mounted where the probe asks, each answers 200 if all that the app's jobs need is there, and 503
if it is not or that can't be told, with the state as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Protocol

from payonce.job import Job
from payonce.ready import Readiness, State

_log = logging.getLogger("payonce")
_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"))
_STATUS = {True: "200 OK", False: "503 Service Unavailable"}


class App(Protocol):
    """What a check needs of the app."""

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Its jobs, by name."""


class _Check:
    def __init__(self, app: App, *, details: bool) -> None:
        self._app, self._details = app, details
        self._last: dict[str, Readiness] = {}
        self._warned = False

    def answer(self) -> tuple[bool, bytes]:
        """Whether all is ready, and the body that says so."""
        needs = dict.fromkeys(need for job in self._app.jobs.values() for need in job.needs)
        if not needs and not self._warned:
            self._warned = True
            _log.warning("a readiness check looks at nothing: no job says what it needs, by needs=")
        found = {need.name: need.check() for need in needs}
        ready = all(each.state is State.READY for each in found.values())
        self._log(found)
        told: dict[str, Any] = {"ready": ready}
        if self._details:
            told["needs"] = {
                name: {"state": each.state, "defects": each.defects, "todo": each.todo}
                for name, each in found.items()
            }
        return ready, json.dumps(told).encode()

    def _log(self, found: dict[str, Readiness]) -> None:
        for name, each in found.items():
            if each != self._last.get(name) and each.state is not State.READY:
                _log.warning("%s is %s: %s. %s", name, each.state, each.defects, each.todo)
        self._last = found


class ReadinessASGI:
    """An ASGI application for a route: `api.add_route("/ready", ReadinessASGI(app))`.

    Args:
        app: the `Payonce` whose jobs' needs are looked at, anew for each request.
        details: tell what is missing in the answer, too; it is logged in any case.
    """

    def __init__(self, app: App, *, details: bool = False) -> None:
        self._check = _Check(app, details=details)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request, as ASGI asks for; the look is made in a thread."""
        if scope["type"] != "http":
            raise ValueError(f"a readiness check answers HTTP requests only, not {scope['type']}")
        ready, body = await asyncio.to_thread(self._check.answer)
        headers = [(name.encode(), value.encode()) for name, value in _HEADERS]
        status = int(_STATUS[ready].split()[0])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class ReadinessWSGI:
    """The same as a WSGI application, for `DispatcherMiddleware`, say.

    Args:
        app: the `Payonce` whose jobs' needs are looked at, anew for each request.
        details: tell what is missing in the answer, too; it is logged in any case.
    """

    def __init__(self, app: App, *, details: bool = False) -> None:
        self._check = _Check(app, details=details)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Answer one request, as PEP 3333 asks for."""
        ready, body = self._check.answer()
        start_response(_STATUS[ready], [*_HEADERS, ("content-length", str(len(body)))])
        return [body]
