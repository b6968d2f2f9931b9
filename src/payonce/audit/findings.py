"""Reading, for `audit`: what was found, as values.

Times are microseconds since the epoch, amounts whole nano-units of the currency beside them; None
is "not known", never nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from payonce.audit.blame import Blame
from payonce.audit.source import Source


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost, as far as it is known: `unknown` of them have no price in any file.

    `basis` is None where files have the amounts themselves; else it says where they are from.
    """

    nanos: int | None
    currency: str
    unknown: int
    basis: str | None = None


@dataclass(slots=True)
class Storm:
    """One task, or one piece of work, that was done again and again in vain.

    `key` says what `name` is: "task", "url" or "prompts". `calls` were paid, `wasted` of them for
    deliveries that came to nothing, by `paths` that tell of it.
    """

    key: str
    name: str
    deliveries: int
    failed: int
    succeeded: bool
    first: int
    last: int
    queue: str | None = None
    url: str | None = None
    tenant: str | None = None
    revisions: tuple[str, ...] = ()
    calls: int | None = None
    wasted: int | None = None
    cost: Cost | None = None
    wasted_cost: Cost | None = None
    tokens: tuple[int | None, int | None] = (None, None)
    blame: Blame | None = None
    schedule: str | None = None
    evidence: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    sources: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Concentration:
    """A period that holds far more than its share; that alone is no storm."""

    what: str
    period: str
    unit: str
    measure: str
    share: float
    of_median: float | None
    periods: int
    amount: int
    currency: str | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """One prompt that was paid for again and again, outside of a storm or inside of one."""

    print: str
    task: str | None
    tenant: str | None
    model: str | None
    count: int
    first: int
    last: int
    schedule: str | None
    wasted_cost: Cost
    path: str


@dataclass(frozen=True, slots=True)
class Resent:
    """Sends that an SDK repeated by itself, below what the app sees."""

    path: str
    calls: int
    sends: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Findings:
    """All that an audit found.

    `read` are the files that could be used, `left_out` how many tasks failed as often as a storm's
    and were not looked at, since there are so many.
    """

    sources: list[Source]
    storms: list[Storm]
    concentrations: list[Concentration]
    repeated: list[Repeated]
    resent: list[Resent]
    calls: int
    cost: dict[str, int]
    unknown_cost: int
    deliveries: int
    left_out: int = 0

    @property
    def read(self) -> list[Source]:
        """The sources that something could be used of."""
        return [source for source in self.sources if source.used]

    @property
    def wasteful(self) -> bool:
        """Whether money went for nothing, as far as the files tell."""
        return bool(self.storms or self.repeated or self.resent)
