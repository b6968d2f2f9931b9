"""Reading, for `audit`: how texts, times and amounts out of foreign files are written.

What stands in a file may hold secrets, and sequences that steer a terminal: neither goes on.
"""

from __future__ import annotations

from datetime import UTC, datetime

from payonce.money import Money
from payonce.redact import redact

TIMELESS = 978_307_200_000_000
"""Times before it, the year 2001, stand for the order of lines whose log has no times."""

_MOST = 300


def legible(text: str | None, most: int = _MOST) -> str | None:
    """One line of a text: secrets masked, whatever doesn't print written as its escape, cut."""
    if text is None:
        return None
    line = "".join(
        each if each.isprintable() else " " if each in "\n\t\r" else _escape(each)
        for each in redact(text[: 8 * most])
    )
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def moment(us: int | None) -> str | None:
    """Microseconds since the epoch as UTC, ISO 8601."""
    if us is None or us < TIMELESS:
        return None
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds")


def clock(us: int | None) -> str:
    """The same for people."""
    return (moment(us) or "an unknown time").replace("T", " ").replace("+00:00", " UTC")


def span(first: int, last: int) -> str:
    """From when to when, in as few words as that needs."""
    if first < TIMELESS:
        return "at times that the log doesn't have"
    begun, ended = clock(first), clock(last)
    if begun == ended:
        return begun
    same_day = begun[:11] == ended[:11]
    return f"{begun.removesuffix(' UTC')} to {ended[11:] if same_day else ended}"


def duration(us: float) -> str:
    """A length of time in the unit that reads best."""
    seconds = us / 1e6
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def amount(nanos: int | None) -> str | None:
    """An amount as a decimal text, without its currency."""
    return None if nanos is None else Money(nanos).amount


def money(nanos: int, currency: str) -> str:
    """An amount for people."""
    return str(Money(nanos, currency))


def percent(part: float) -> str:
    """A share, to a tenth of a percent."""
    return f"{100 * part:.1f} %"


def counted(number: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
