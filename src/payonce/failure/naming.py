"""Decision, inside `failure`: the words that names are made of, where nobody listed the name.

Libraries name their errors, and providers their codes, in one small vocabulary: `NotLeaderError`,
`channel_not_found`, `KmsThrottled`. Names are split into words, and the first row that holds some
of them decides. A name is the weakest evidence but a bare message: a row that says *deterministic*
has only words that nobody gives to what passes by itself.

Source: the exceptions of 60 Python packages (`tests/decisions/*.jsonl`), read for words, not names.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache

from payonce.chain import Link
from payonce.failure.finding import (
    ACCOUNT,
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    Row,
)
from payonce.model import Kind, WakesOn

D, T, U = Kind.DETERMINISTIC, Kind.TRANSIENT, Kind.UNKNOWN

ROWS: tuple[tuple[Kind, tuple[WakesOn, ...], str], ...] = (
    # money
    (D, ACCOUNT, r"insufficient (quota|balance|credits?)|spend(ing)? limit|billing|no credits?"),
    (D, ACCOUNT, r"payment required|budget exceeded|usage limit exceeded|account not found"),
    (D, ACCOUNT, r"account (suspended|disabled|deactivated|inactive)"),
    # too fast
    (Kind.THROTTLED, NOTHING, r"throttl\w*|rate ?limit\w*|too many requests|slow down|over limit"),
    (Kind.THROTTLED, NOTHING, r"requests? (rate|limit) exceeded|flood ?wait"),
    # what looks like a connection, and is a key that isn't trusted
    (D, CONFIG, r"host key"),
    # time mends these, whatever else the name says
    (T, NOTHING, r"time ?d? ?out|deadline exceeded|unavailable|overload(ed)?|busy"),
    (T, NOTHING, r"capacity exceeded|temporar(y|ily)|try again|again later|retry|retryable"),
    (T, NOTHING, r"connect(ion)? (refused|reset|lost|aborted|broken|dropped|failed|failure|error)"),
    (T, NOTHING, r"(lost|no|broken|stale) connection|disconnect(ed)?|server (down|gone|away|died)"),
    (T, NOTHING, r"no (live )?(servers?|brokers?|hosts?|nodes?|responders?|valid connections)"),
    (T, NOTHING, r"not (a )?(leader|primary|master|coordinator)|(leader|master|primary) not"),
    (T, NOTHING, r"load in progress|not enough replicas|pool (error|exhausted|empty|full)"),
    (T, NOTHING, r"service (request|response) error|\w+ down|shut(ting)? down|restarting|failover"),
    (T, NOTHING, r"network (error|unreachable|failure)|broken pipe|bad gateway|starting up"),
    (T, NOTHING, r"internal (server|service) error|server error|write conflict|serialization"),
    (T, NOTHING, r"lock (error|not available|wait)|quorum|election|rebalanc\w+|socket \w*error"),
    (T, NOTHING, r"socket (open|receive|send|closed?) error|too many (connections|clients|open)"),
    (T, NOTHING, r"transaction (error|exception|aborted|conflict)|aborted|conflicting operation"),
    (T, NOTHING, r"deadlock|transient|communication (error|failure)|session terminated"),
    # may be an own earlier write, another's, a drawn answer, something that is still to come
    (U, NOTHING, r"does not exist|no result\w*|duplicate\w*|already \w+|conflict\w*|integrity"),
    (U, NOTHING, r"constraint|precondition failed|unique|content (filter|policy)|moderation"),
    (U, NOTHING, r"invalid (response|state|chunk|handshake|session|cached|cursor|answer|reply)"),
    (U, NOTHING, r"validation (error|exception|failed)|max(imum)? retries|parse (error|exception)"),
    (U, NOTHING, r"(unexpected|bad|malformed|truncated|incomplete) (response|answer|status|data)"),
    (U, NOTHING, r"quota exceeded|read only|closed|cancell?ed|lease|safety|(xml|json|yaml) \w+"),
    (U, NOTHING, r"(cursor|job|session|task|operation|upload|transaction|batch) not found"),
    (U, NOTHING, r"unknown topic"),
    # who asks
    (D, CREDENTIALS, r"auth(entication|ori[sz]ation)?( failed| failure| error| exception)"),
    (D, CREDENTIALS, r"un(authori[sz]ed|authenticated)|not auth(ori[sz]ed|enticated|ed)|forbidden"),
    (D, CREDENTIALS, r"permissions?( denied)?|access denied|credentials?|security exception"),
    (D, CREDENTIALS, r"insufficient (privileges?|permissions?|access|rights|scopes?)"),
    (D, CREDENTIALS, r"(invalid|expired|bad|missing|wrong|incorrect|incomplete) (api )?"
     r"(token|signature|auth|key id|api key|password|login|access key id)"),
    (D, CREDENTIALS, r"(token|signature|key) (expired|revoked|mismatch|does not match)"),
    (D, CREDENTIALS, r"login (failed|required)|no api key|(signature|token) verification( error)?"),
    # how it is set up
    (D, CONFIG, r"configuration|config (error|exception)|improperly configured|settings? error"),
    (D, CONFIG, r"(invalid|bad|malformed|unsupported|unknown|missing|non http) ?"
     r"(uri|url|dsn|host|scheme|protocol|endpoint|region|configuration|config|driver|backend)"),
    (D, CONFIG, r"unsupported (version|product|server|protocol)|not registered|decommissioned"),
    (D, CONFIG, r"no such (bucket|queue|container|index|collection|module|driver|object)"),
    (D, CONFIG, r"(channel|bucket|queue|container|index|collection|model|deployment|table|topic"
     r"|project|database|repository|endpoint|template|image|path|alias|engine) not found"),
    (D, CONFIG, r"(key|model|resource|api|project|user) disabled|unroutable|disabled exception"),
    # what is asked
    (D, SCHEMA + CODE, r"(column|field|attribute|property) not found"),
    (D, INPUT + CODE, r"(invalid|illegal|bad|malformed|unknown|unrecognized|missing|unsupported"
     r"|unexpected|too many) ?(user )?(request|arguments?|param(eter)?s?|input|value|name|id|type"
     r"|format|file|query|document|subject|topic|header|path|usage|syntax|schema|field|option|dn"
     r"|command|characters?|encoding|body|payload|message|mode|method|size|length|range|date"
     r"|number|address|email|phone|contents?|identifier|dimension|image|operator|expression"
     r"|attribute|property|resource name|state transition)s?"),
    (D, INPUT, r"too (large|long|big|deep|short)|(payload|size|length|context|window) (limit )?"
     r"exceeded|max(imum)? (payload|size|length)|out of range"),
    (D, CODE, r"syntax error|not supported|unsupported|not implemented|unimplemented|undefined"),
    (D, CODE, r"(user|usage|programming|schema) error|illegal state|wrong type|upgrade required"),
    (D, CODE, r"(encode|encoding|serialisation|compile|compilation) error|misuse|merge error"),
    (D, CODE, r"frozen|immutable|mismatch(ed)? (type|argument)|template (error|syntax)"),
)  # fmt: skip

_TABLE = tuple((kind, wakes_on, re.compile(rf"\b(?:{words})\b")) for kind, wakes_on, words in ROWS)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._:-][A-Za-z0-9]+)*\Z")
_LONGEST = 64
_CODE_PATHS = (
    "error_code", "code", "reason", "error", "err", "body.error_code", "body.code", "body.error",
    "body.reason", "body.type", "body.error.code", "body.error.type", "body.error.reason",
    "body.error.status", "response.data.error", "response.error", "response.Error.Code",
)  # fmt: skip


def judge(link: Link) -> Finding | None:
    """What the names of the exception's classes say, the most derived first."""
    for short in link.shorts:
        package, _, name = short.partition(".")
        if package in sys.stdlib_module_names:
            return None
        row = row_of(name)
        if row is not None:
            return Finding(Rank.WORD, row[0], link.names[0].removeprefix("builtins."), row[1])
    return None


def judge_code(link: Link) -> Finding | None:
    """What a code says that nobody has listed."""
    for word in codes(link):
        row = row_of(word)
        if row is not None:
            return Finding(Rank.STATUS, row[0], f"{link.package} {word}", row[1])
    return None


def codes(link: Link) -> list[str]:
    """Texts in the exception that have the form of a code, the first is the most precise."""
    found = []
    for path in _CODE_PATHS:
        word = link.read_body(path[5:]) if path.startswith("body.") else link.read(path)
        if isinstance(word, str) and len(word) <= _LONGEST and _CODE.match(word):
            found.append(word)
    return found


@lru_cache(maxsize=2048)
def row_of(name: str) -> Row | None:
    """The row whose words a name holds, None where no row has any."""
    text = " ".join(_PARTS.findall(name)).lower()
    for kind, wakes_on, words in _TABLE:
        if words.search(text):
            return kind, wakes_on
    return None
