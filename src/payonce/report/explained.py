"""Reading: what payonce would make of a failure, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from payonce.errors import ConfigError
from payonce.failure import classify
from payonce.failure.pasted import Pasted, read_pasted
from payonce.failure.stand_in import stand_in
from payonce.model import Diagnosis, Kind, WakesOn
from payonce.policy import Limits
from payonce.redact import redact
from payonce.report.tables import facts

_WOULD = {
    Kind.DETERMINISTIC: (
        "park",
        "Park the run at the first failure. Its deliveries pay nothing until what it waits for has "
        "changed; then it goes on under the same key, and every receipt is replayed.",
    ),
    Kind.TRANSIENT: (
        "retry",
        "Try again after growing pauses, at most {attempts} attempts in all; then park.",
    ),
    Kind.THROTTLED: (
        "retry",
        "Try again, not before the other side's Retry-After, at most {attempts} attempts in all; "
        "then park.",
    ),
    Kind.STOCHASTIC: (
        "retry",
        "Reject the answer that it was raised over, as waste, and ask again, at most resamples= "
        "times (2 for captured calls); then park.",
    ),
    Kind.UNKNOWN: (
        "retry",
        "Try again once, after a pause; park if the same failure comes back in the same world.",
    ),
}
_FIX = {
    WakesOn.SCHEMA: "Migrate the database to what the code needs, or deploy the code that fits it.",
    WakesOn.CODE: "Mend the code and deploy it.",
    WakesOn.INPUT: "Correct the input: send the work again, corrected, under a new run key.",
    WakesOn.CONFIG: "Correct the configuration: an address, a name or a setting.",
    WakesOn.CREDENTIALS: "Correct the key, the password or the rights.",
    WakesOn.ACCOUNT: "Put the provider's account in order: credit, limits, access.",
}
_OTHERWISE = {
    Kind.TRANSIENT: "Nothing, if it passes. If it stays, look at the other side.",
    Kind.THROTTLED: "Ask more slowly, or have the limit raised.",
    Kind.STOCHASTIC: "If it stays, mend the prompt, the schema or the token limit.",
    Kind.UNKNOWN: "Tell payonce what it is: app.failures.add(exception, kind).",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A pasted failure with what payonce would do about it."""

    diagnosis: Diagnosis
    chain: list[str]
    where: str | None
    found: int

    @property
    def verdict(self) -> str:
        """The word that the queue would hear at the first failure."""
        return _WOULD[self.diagnosis.kind][0]

    @property
    def would(self) -> str:
        """What payonce would do."""
        return _WOULD[self.diagnosis.kind][1].format(attempts=Limits().attempts)

    @property
    def fixes(self) -> list[str]:
        """What a person can do."""
        named = [_FIX[each] for each in self.diagnosis.wakes_on]
        return named or [_OTHERWISE.get(self.diagnosis.kind, "Mend what failed.")]


def explain(text: str) -> Explained:
    """Classify a pasted traceback.

    Raises:
        ConfigError: there is nothing like an exception in it.
    """
    pasted = read_pasted(text)
    if pasted is None:
        raise ConfigError(
            "there is no exception in this text" if text.strip() else "there is nothing to explain",
            'Paste a whole Python traceback, or at least its last line, "package.Error: message".',
        )
    return Explained(
        diagnosis=classify(stand_in(pasted.record)),
        chain=_names(pasted),
        where=redact(pasted.where) if pasted.where else None,
        found=pasted.found,
    )


def _names(pasted: Pasted) -> list[str]:
    records = [pasted.record, *pasted.record["cause_chain"]]
    return [each["mro"][0].removeprefix("builtins.") for each in records]


def explained_view(explained: Explained) -> Iterator[RenderableType]:
    """For people."""
    found = explained.diagnosis
    if explained.found > 1:
        yield Text(f"The last of {explained.found} tracebacks.")
    yield facts(
        [
            ("kind", found.kind.value),
            ("reason", found.reason),
            ("evidence", redact(found.evidence)),
            ("read", " ← ".join(explained.chain)),
            *([("where", explained.where)] if explained.where else []),
            ("fingerprint", found.fingerprint),
            ("verdict", explained.verdict),
            ("payonce", explained.would),
            *(("fix" if not n else "or", each) for n, each in enumerate(explained.fixes)),
        ]
    )


def explained_document(explained: Explained) -> dict[str, Any]:
    """For programs."""
    found = explained.diagnosis
    return {
        "kind": found.kind.value,
        "reason": found.reason,
        "evidence": redact(found.evidence),
        "wakes_on": [each.value for each in found.wakes_on],
        "fingerprint": found.fingerprint,
        "chain": explained.chain,
        "where": explained.where,
        "verdict": explained.verdict,
        "would": explained.would,
        "fixes": explained.fixes,
        "tracebacks": explained.found,
    }
