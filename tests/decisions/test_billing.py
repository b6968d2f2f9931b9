"""What an exception proves of the bill."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx
import pytest

from payonce.failure.billing import fate, never_sent
from payonce.model import CallState
from payonce.policy import ANSWERED, REFUSED_BY_DATABASE

REQUEST = httpx.Request("POST", "http://provider/v1/charges")


def _answered(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("no", request=REQUEST, response=httpx.Response(status))


def _of_aiohttp(name: str) -> BaseException:
    """A broken connection as an aiohttp-backed transport of httpx tells it."""
    cause = type(name, (Exception,), {"__module__": "aiohttp.client_exceptions"})()
    exc = httpx.ConnectTimeout("broken")
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    ("exc", "state", "why"),
    [
        (httpx.ConnectError("refused"), CallState.RELEASED, "not sent"),
        (httpx.PoolTimeout("full"), CallState.RELEASED, "not sent"),
        (_of_aiohttp("ClientConnectorError"), CallState.RELEASED, "not sent"),
        (_of_aiohttp("ServerDisconnectedError"), CallState.IN_DOUBT, "it raised"),
        (httpx.ReadTimeout("slow"), CallState.IN_DOUBT, "it raised"),
        (httpx.RemoteProtocolError("cut"), CallState.IN_DOUBT, "it raised"),
        (_answered(402), CallState.RELEASED, f"{ANSWERED} 402"),
        (_answered(429), CallState.RELEASED, f"{ANSWERED} 429"),
        (_answered(503), CallState.RELEASED, f"{ANSWERED} 503"),
        (_answered(500), CallState.IN_DOUBT, f"{ANSWERED} 500"),
        (KeyError("id"), CallState.IN_DOUBT, "it raised"),
    ],
)
def test_an_exception_tells_whether_it_may_be_billed(
    exc: BaseException, state: CallState, why: str
) -> None:
    """Refused and never sent is released; whatever may have reached the other side is in doubt."""
    assert fate(exc) == (state, why)


def test_a_statement_that_the_database_refused_is_told_as_such() -> None:
    """A step that only writes may be repeated, though it stays in doubt."""
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(sqlite3.Error) as met:
        db.execute("SELECT outline FROM courses")
    assert fate(met.value) == (CallState.IN_DOUBT, REFUSED_BY_DATABASE)


def test_what_was_handled_meanwhile_proves_nothing() -> None:
    """A refused first try says nothing of the second one, which was sent."""
    later = httpx.ReadTimeout("slow")
    later.__context__ = httpx.ConnectError("refused")
    assert not never_sent(later)
