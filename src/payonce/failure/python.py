"""Decision, inside `failure`: Python's own exceptions and the operating system's numbers.

Source: the exception hierarchy of Python's library reference and errno(3).
"""

from __future__ import annotations

import errno

from payonce.chain import Link
from payonce.failure import phrases
from payonce.failure.finding import (
    CODE,
    CONFIG,
    INPUT,
    NOTHING,
    Finding,
    Rank,
    Row,
    look_up,
    words,
)
from payonce.model import Kind

CLASSES = words(
    # programming errors
    (Kind.DETERMINISTIC, CODE, "builtins.NameError builtins.AttributeError builtins.TypeError"),
    (Kind.DETERMINISTIC, CODE, "builtins.ImportError builtins.SyntaxError builtins.LookupError"),
    (Kind.DETERMINISTIC, CODE, "builtins.NotImplementedError builtins.RecursionError"),
    (Kind.DETERMINISTIC, CODE, "builtins.AssertionError builtins.BufferError"),
    (Kind.DETERMINISTIC, CODE, "_pickle.PicklingError pickle.PicklingError"),
    (Kind.DETERMINISTIC, CODE, "asyncio.InvalidStateError concurrent.InvalidStateError"),
    (Kind.DETERMINISTIC, CODE, "builtins.StopIteration builtins.StopAsyncIteration re.error"),
    # the same values again
    (Kind.DETERMINISTIC, INPUT + CODE, "builtins.ArithmeticError builtins.ValueError"),
    (Kind.DETERMINISTIC, INPUT, "builtins.UnicodeError struct.error _csv.Error"),
    (Kind.DETERMINISTIC, INPUT + CODE, "_pickle.UnpicklingError pickle.UnpicklingError"),
    (Kind.DETERMINISTIC, CONFIG, "configparser.Error ssl.SSLCertVerificationError"),
    # the process was told to stop
    (Kind.TRANSIENT, NOTHING, "asyncio.CancelledError concurrent.CancelledError"),
    (Kind.TRANSIENT, NOTHING, "builtins.KeyboardInterrupt builtins.SystemExit"),
    (Kind.TRANSIENT, NOTHING, "builtins.GeneratorExit"),
    # the other side, or the way to it
    (Kind.TRANSIENT, NOTHING, "builtins.ConnectionError builtins.TimeoutError ssl.SSLError"),
    (Kind.TRANSIENT, NOTHING, "asyncio.TimeoutError asyncio.IncompleteReadError"),
    (Kind.TRANSIENT, NOTHING, "concurrent.TimeoutError builtins.BlockingIOError"),
    (Kind.TRANSIENT, NOTHING, "http.RemoteDisconnected http.IncompleteRead http.BadStatusLine"),
    (Kind.TRANSIENT, NOTHING, "urllib.ContentTooShortError builtins.InterruptedError"),
    (Kind.TRANSIENT, NOTHING, "socket.gaierror _queue.Empty queue.Empty queue.Full"),
    (Kind.TRANSIENT, NOTHING, "subprocess.TimeoutExpired threading.BrokenBarrierError"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "http.InvalidURL"),
    (Kind.DETERMINISTIC, CODE, "http.ImproperConnectionState"),
    (Kind.UNKNOWN, NOTHING, "http.HTTPException"),
    # can't be told from the exception alone
    (Kind.UNKNOWN, NOTHING, "json.JSONDecodeError builtins.MemoryError builtins.EOFError"),
    (Kind.UNKNOWN, NOTHING, "subprocess.CalledProcessError concurrent.BrokenExecutor"),
    (Kind.UNKNOWN, NOTHING, "builtins.OSError zlib.error xml.ParseError zipfile.BadZipFile"),
    (Kind.UNKNOWN, NOTHING, "gzip.BadGzipFile lzma.LZMAError tarfile.ReadError"),
)
_ORIGIN_UNKNOWN = frozenset({"json.JSONDecodeError", "ssl.SSLCertVerificationError"})

ERRNOS: dict[int, Row] = {
    getattr(errno, name): row
    for name, row in words(
        (Kind.TRANSIENT, NOTHING, "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT"),
        (Kind.TRANSIENT, NOTHING, "ENETUNREACH ENETDOWN ENETRESET EHOSTUNREACH EHOSTDOWN"),
        (Kind.TRANSIENT, NOTHING, "ENOTCONN ESHUTDOWN EAGAIN EINTR EALREADY EINPROGRESS"),
        (
            Kind.TRANSIENT,
            NOTHING,
            "EBUSY EMFILE ENFILE ENOBUFS EADDRNOTAVAIL ESTALE EDEADLK ENOSPC",
        ),
        (Kind.DETERMINISTIC, CONFIG, "EACCES EPERM EROFS"),
        (Kind.DETERMINISTIC, CODE + INPUT, "EISDIR ENOTDIR ENAMETOOLONG ELOOP EXDEV"),
        (Kind.DETERMINISTIC, CONFIG + CODE, "ENOEXEC"),
        (Kind.UNKNOWN, NOTHING, "ENOENT EEXIST EDQUOT ENOMEM EIO EADDRINUSE ENOTEMPTY"),
    ).items()
    if hasattr(errno, name)
}


def judge_errno(link: Link) -> Finding | None:
    """What the operating system's number says."""
    if "ssl.SSLError" in link.shorts:
        return None
    number = link.errno
    return look_up(ERRNOS, number, Rank.ERRNO, errno.errorcode.get(number or 0, ""))


def judge_class(link: Link) -> Finding | None:
    """What the class says, where it is one of Python's own."""
    for short in link.shorts:
        if short in CLASSES:
            if short == "builtins.OSError" and (said := phrases.judge(link)) is not None:
                return said
            kind, wakes_on = CLASSES[short]
            rank = Rank.LIBRARY if short in _ORIGIN_UNKNOWN else Rank.BUILTIN
            found = Finding(rank, kind, _evidence(link), wakes_on)
            return _missing_key(link, found) if "builtins.KeyError" in link.names else found
    return None


def _evidence(link: Link) -> str:
    return link.names[0].removeprefix("builtins.")


def _missing_key(link: Link, found: Finding) -> Finding:
    key = next(iter(link.exc.args), link.message)
    if any(module == "os" for module, _, _ in link.frames()):
        says = f"environment variable {key} is not set"
        return Finding(found.rank, found.kind, found.evidence, CONFIG + CODE, says)
    says = f"key {link.message} is missing"
    return Finding(found.rank, found.kind, found.evidence, found.wakes_on, says)
