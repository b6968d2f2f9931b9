"""Decision, inside `failure`: phrases of messages, where no code, status or name has decided.

Messages change with versions and languages, so a phrase comes last. Those that would stop a run
are the sentences of one piece of software each (CPython, libpq, OpenSSL), given with it; those that
only keep it going are general.

Source: the exceptions of `tests/decisions/*.jsonl`.
"""

from __future__ import annotations

import re

from payonce.chain import Link
from payonce.failure.finding import (
    CODE,
    CONFIG,
    CREDENTIALS,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
)
from payonce.model import Kind, WakesOn

D, T, U = Kind.DETERMINISTIC, Kind.TRANSIENT, Kind.UNKNOWN

ROWS: tuple[tuple[Kind, tuple[WakesOn, ...], str], ...] = (
    # OpenSSL: TLS that will not come up like this
    (D, CONFIG, r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|rejected SSL upgrade"),
    # CPython, asyncio and HTTP clients: a bug in how they are used
    (D, CODE, r"cannot be called from a running event loop|no running event loop"),
    (D, CODE, r"generator raised StopIteration|as the client has been closed"),
    (D, CODE, r"object is not (?:callable|iterable|subscriptable)|Object of type \w+ is not JSON"),
    (D, CODE, r"another operation is in progress|server expects \d+ argument|Unread result found"),
    (T, NOTHING, r"can't start new thread|cannot schedule new futures after"),
    # urllib, urllib3, SQLAlchemy
    (D, CONFIG, r"unknown url type|No connection adapters were found|Could not parse .*URL"),
    # databases whose driver gives no code
    (D, SCHEMA, r"no such (?:table|column|collection|index)\b|unconfigured table|Unknown column"),
    (D, SCHEMA, r"(?:table|relation|column|view) [`\"'\w.]+ does(?: not|n't) exist"),
    (D, SCHEMA, r"invalid identifier|Invalid (?:object|column) name|Object .* does not exist or"),
    (D, SCHEMA, r"NOT NULL constraint failed|violates not-null constraint"),
    # libssh, paramiko
    (D, CONFIG, r"not found in known_hosts|Host key (?:verification failed|mismatch)"),
    # who asks
    (D, CREDENTIALS, r"[Ii]ncorrect username or password|[Aa]uthentication failed"),
    (D, CREDENTIALS, r"[Aa]ccess denied|[Ii]nvalid (?:credentials|api[ _-]?key)"),
    (D, CREDENTIALS, r"api[ _]key (?:is )?(?:not set|missing)|[Nn]o API key (?:provided|found)"),
    (D, CREDENTIALS, r"[Ss]et the `?\w*API_KEY`? environment variable"),
    # the way there, or the other side
    (T, NOTHING, r"[Cc]onnection (?:was )?(?:refused|reset|aborted|closed by|timed out|lost)"),
    (T, NOTHING, r"[Bb]roken pipe|[Nn]etwork is unreachable|[Nn]o route to host|[Tt]imed out"),
    (T, NOTHING, r"temporar(?:y|ily)|try again|too many connections|Max retries exceeded"),
    (T, NOTHING, r"database is locked|[Cc]onflicting lock|Conflict on update|deadlock"),
    (T, NOTHING, r"SSH protocol banner|[Nn]ame or service not known|failure in name resolution"),
    (T, NOTHING, r"server closed the connection|[Cc]onnection (?:is |already )?closed"),
    (T, NOTHING, r"has gone away|(?:[Uu]nable|[Ff]ailed) to connect|not currently (?:avail|resp)"),
    (T, NOTHING, r"[Ss]ervice [Uu]navailable|[Bb]ad [Gg]ateway|[Ii]nternal [Ss]erver [Ee]rror"),
)  # fmt: skip
_TABLE = tuple((kind, wakes_on, re.compile(phrase)) for kind, wakes_on, phrase in ROWS)

COMES_AGAIN = re.compile(
    r"\b(?:try|retry) (?:again )?(?:later|in|after|shortly|soon|your request)\b|temporar(?:y|ily)"
    r"|timed out|timeout (?:while|exceeded|expired|reached)|overloaded|at capacity|too busy"
    r"|(?:currently|is) (?:unavailable|being)|not currently (?:available|responding)",
    re.IGNORECASE,
)
TOO_FAST = re.compile(
    r"\brate[ -]?limit|too many requests|requests per (?:second|minute)|quota .*per[ _]?minute"
    r"|slow down|throttl",
    re.IGNORECASE,
)
DRAWN = re.compile(r"content (?:filter|policy|management)|blocked by|safety system", re.IGNORECASE)
_SQLSTATE = re.compile(r"\bSQLSTATE[ =:(\[]*([0-9A-Z]{5})\b")
SURE_OF_CREDENTIALS = re.compile(
    r"(?:[Ii]ncorrect username or password|password authentication failed"
    r"|[Tt]enant or user not found|[Ll]ogin failed for user)"
)


_TLS = _TABLE[0][2]


def judge_tls(link: Link) -> Finding | None:
    """A certificate that isn't trusted, whoever tells of it: it will not be the next time."""
    if _TLS.search(link.message):
        return Finding(Rank.LIBRARY, D, "TLS refused", CONFIG)
    return None


def judge(link: Link) -> Finding | None:
    """What the message says."""
    for kind, wakes_on, phrase in _TABLE:
        if phrase.search(link.message):
            evidence = link.names[0].removeprefix("builtins.")
            return Finding(Rank.WRAPPER, kind, evidence, wakes_on)
    return None


def sqlstate_in(message: str) -> str | None:
    """A SQLSTATE that a driver has put into its text alone."""
    match = _SQLSTATE.search(message)
    return match[1] if match else None
