"""Decision, inside `failure`: payonce's own errors, which say by themselves what they are."""

from __future__ import annotations

from payonce import errors
from payonce.chain import Link
from payonce.failure.finding import CODE, CONFIG, INPUT, NOTHING, SCHEMA, Finding, Rank, Row
from payonce.model import Kind

CLASSES: tuple[tuple[type[BaseException], Row], ...] = (
    (errors.Rejected, (Kind.DETERMINISTIC, CODE + INPUT)),
    (errors.ConfigError, (Kind.DETERMINISTIC, CONFIG + CODE)),
    (errors.OutsideRun, (Kind.DETERMINISTIC, CODE)),
    (errors.KeyReused, (Kind.DETERMINISTIC, INPUT)),
    (errors.Parked, (Kind.DETERMINISTIC, SCHEMA + CODE)),
    (errors.RetryLater, (Kind.TRANSIENT, NOTHING)),
    (errors.Busy, (Kind.TRANSIENT, NOTHING)),
    (errors.JournalTooNew, (Kind.DETERMINISTIC, CODE + CONFIG)),
    (errors.NotAJournal, (Kind.DETERMINISTIC, CONFIG)),
    (errors.RunNotFound, (Kind.DETERMINISTIC, INPUT)),
    (errors.CallNotFound, (Kind.DETERMINISTIC, INPUT)),
    (errors.NoJournal, (Kind.TRANSIENT, NOTHING)),
    (errors.LeaseLost, (Kind.TRANSIENT, NOTHING)),
    (errors.NotReplayable, (Kind.DETERMINISTIC, CODE)),
    (errors.Drifted, (Kind.DETERMINISTIC, CODE)),
    (errors.SendsUsedUp, (Kind.DETERMINISTIC, NOTHING)),
)


def judge(link: Link) -> Finding | None:
    """What one of payonce's own errors says of itself."""
    exc = link.exc
    if not isinstance(exc, errors.PayonceError | errors.Stop):
        return None
    row: Row | None = next((v for cls, v in CLASSES if isinstance(exc, cls)), None)
    if isinstance(exc, errors.InDoubt):
        row = (Kind.TRANSIENT if exc.repeatable else Kind.DETERMINISTIC, NOTHING)
    if row is None:
        row = (Kind.UNKNOWN, NOTHING)
    after = exc.after if isinstance(exc, errors.RetryLater | errors.Busy) else None
    reason = exc.what
    if isinstance(exc, errors.ConfigError):
        reason = f"{exc.what}. {exc.todo.removesuffix('.')}"
    return Finding(Rank.OWN, row[0], type(exc).__name__, row[1], reason, after)
