"""Decision, inside `failure`: does an exception prove that nothing was billed?

Sources: https://www.rfc-editor.org/rfc/rfc9110#section-15 for refusals by status; what providers
say of billing is gathered in `docs/guarantees.md`. Whatever is not listed here is in doubt.
"""

from __future__ import annotations

from payonce.chain import Chain, Link
from payonce.model import CallState
from payonce.policy import ANSWERED, REFUSED_BY_DATABASE

REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 425, 429, 503, 529})
"""Answers that say: not taken on."""

NOT_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "ProxyError",
        "LocalProtocolError",
        "ConnectionRefusedError",
        "NewConnectionError",
        "ConnectTimeoutError",
        "gaierror",
        "EndpointConnectionError",
        "ClientConnectorError",
        "ConnectionTimeoutError",
        "InvalidURL",
    }
)
"""Exceptions, by class name, that are raised before a request leaves."""


def never_sent(exc: BaseException) -> bool:
    """Whether an exception proves that the request did not leave.

    Transports of httpx that are backed by aiohttp tell each broken connection as a
    `ConnectTimeout`, one that broke after the request was sent, too: where aiohttp has a word of
    its own in the chain, that one counts.
    """
    links = Chain(exc).links
    own = [link for link in links if link.package == "aiohttp"] or links
    return any(name.rpartition(".")[2] in NOT_SENT for link in own for name in link.names)


def fate(exc: BaseException) -> tuple[CallState, str]:
    """What became of a call that raised: released or in doubt, and why it is thought so."""
    if never_sent(exc):
        return CallState.RELEASED, "not sent"
    for link in Chain(exc).links:
        if link.status is not None and link.status >= 400:
            return _fate_of_answer(link.status)
        if _is_of_database(link):
            return CallState.IN_DOUBT, REFUSED_BY_DATABASE
    return CallState.IN_DOUBT, "it raised"


def _fate_of_answer(status: int) -> tuple[CallState, str]:
    state = CallState.RELEASED if status in REFUSALS else CallState.IN_DOUBT
    return state, f"{ANSWERED} {status}"


def _is_of_database(link: Link) -> bool:
    """A statement that its database refused: a step that only writes may be repeated."""
    return (
        link.sqlstate is not None
        or link.mysql_number is not None
        or isinstance(link.read("sqlite_errorcode"), int)
    )
