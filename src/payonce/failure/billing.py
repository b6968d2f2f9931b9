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
        "ClientConnectorError",
        "EndpointConnectionError",
    }
)
"""Exceptions, by class name, that are raised before a request leaves."""


def fate(exc: BaseException) -> tuple[CallState, str]:
    """What became of a call that raised: released or in doubt, and why it is thought so."""
    for link in Chain(exc).links:
        if any(name.rpartition(".")[2] in NOT_SENT for name in link.names):
            return CallState.RELEASED, "not sent"
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
