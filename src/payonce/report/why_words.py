"""Reading: money, days and deliveries, in the words of `payonce why`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from payonce.delivery import LOOKOUT, WAKE
from payonce.journal.ledger import Again, Sum
from payonce.model import Arrival
from payonce.money import NANOS
from payonce.report import text

_QUEUES = {
    "cloud-tasks": "Cloud Tasks",
    "pubsub": "Pub/Sub",
    "qstash": "QStash",
    "http": "HTTP requests",
    "direct": "direct calls",
    WAKE: "a person's payonce wake",
    LOOKOUT: "payonce's own look",
}
_SCHEDULE = re.compile(r"scheduler|cron", re.IGNORECASE)
_PERSON = re.compile(r"\b(curl|wget|httpie|postman\w*|insomnia|mozilla)\b", re.IGNORECASE)


def money(nanos: int, currency: str) -> str:
    """An amount as people say it: to the cent, and small ones to three digits that count."""
    amount = Decimal(nanos) / NANOS
    if abs(amount) >= 1 or amount == 0:
        return f"{amount:.2f} {currency}"
    places = max(2, -amount.adjusted() + 2)
    whole, _, part = f"{amount:.{places}f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')} {currency}"


def sums(found: Iterable[tuple[int, str]]) -> str:
    """Amounts of several currencies, which don't add up; "nothing" where there is none."""
    parts = [money(nanos, currency) for nanos, currency in found if nanos]
    return " and ".join(parts) or "nothing"


def paid(found: Sequence[Sum]) -> str:
    """What was paid, with the receipts of unknown price beside it, never as zero."""
    unknown = sum(one.unpriced for one in found)
    known = [(one.paid, one.currency) for one in found if one.paid or one.calls > one.unpriced]
    if not unknown:
        return " and ".join(money(*one) for one in known) or "nothing"
    count = f"{text.plural(unknown, 'call')} of unknown price"
    return f"{' and '.join(money(*one) for one in known)} and {count}" if known else count


def percent(part: int, whole: int) -> str:
    """A share: "all" only where it is all."""
    if part == whole:
        return "All"
    share = 100 * part / whole
    if share > 99:
        return "More than 99 %"
    return "Less than 1 %" if share < 1 else f"{share:.0f} %"


def day(at: float) -> str:
    """The day of a moment, in UTC: "12 June 2026"."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B %Y}"


def clock(at: float) -> str:
    """A moment to the minute, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def lasting(seconds: float) -> str:
    """A length of time in its two largest units: "5 h 48 min"."""
    if seconds < 1:
        return "less than a second"
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def trigger(queue: str, user_agent: str | None) -> str:
    """Who or what a delivery came from, as far as it said so."""
    agent = user_agent or ""
    if queue not in (WAKE, LOOKOUT):
        if _SCHEDULE.search(agent):
            return f"a schedule ({text.short(agent, 40)})"
        if found := _PERSON.search(agent):
            return f"a person ({found[0]})"
    return _QUEUES.get(queue, queue)


def again(found: Iterable[Again]) -> str:
    """How many further deliveries there were, and by what; "" where there was none."""
    triggers: Counter[str] = Counter()
    for one in found:
        triggers[trigger(one.queue, one.user_agent)] += one.deliveries
    if not triggers:
        return ""
    names = [name for name, _ in triggers.most_common(3)]
    more = [f"{len(triggers) - 3} more"] if len(triggers) > 3 else []
    counted = text.plural(triggers.total(), "further delivery", "further deliveries")
    return f"{counted} by {both([*names, *more])}"


def deliveries(arrivals: Sequence[Arrival]) -> str:
    """How many deliveries, by what, over how long; a repeat is one that says so of itself.

    What a queue says of its retries counts, and so does a message that came before.
    """
    triggers: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for arrival in arrivals:
        delivery = arrival.delivery
        name = trigger(delivery.queue, delivery.user_agent)
        message = (delivery.queue, delivery.message or "")
        triggers[name] += 1
        repeats[name] += bool(delivery.retry_count) or (bool(delivery.message) and message in seen)
        seen.add(message)
    parts = [
        (name, count, f" ({repeats[name]} of them repeats)" if repeats[name] else "")
        for name, count in triggers.most_common()
    ]
    counted = text.plural(len(arrivals), "delivery", "deliveries")
    span = arrivals[-1].at - arrivals[0].at
    during = f" in {lasting(span)}" if len(arrivals) > 1 else ""
    if len(parts) == 1:
        return f"{counted} by {parts[0][0]}{parts[0][2]}{during}"
    told = ", ".join(f"{count} by {name}{again}" for name, count, again in parts)
    return f"{counted}{during} ({told})"


def both(names: Sequence[str]) -> str:
    """Names in a row, with an "and" before the last."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
