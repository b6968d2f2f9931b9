"""Decision: is what is being spent, or delivered, out of the ordinary? Pure.

The ordinary is what a day's dearest hour was in the days before: nights, nightly batches and quiet
weekends don't make the next busy hour a surprise, as a median over all hours would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from payonce.errors import ConfigError
from payonce.money import Money

HOUR = 3_600.0
DAY = 86_400.0
_TWO_WEEKS = 14
_NEWCOMER = 10
"""A run that there is nothing to compare with is told of from so many times the floor on. Ours."""
_FAR, _SOME = 10, 5
"""A run is far dearer than others that costs so many times the dearest of so many or more. Ours."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """What hooks are told of before anybody asks; see `payonce.notices`.

    The numbers are ours: tried on production traces, on steady and on daily work, none of which
    they ring for, and on runaway loops (`tests/decisions/test_alarm.py`).

    Args:
        floor: less than this is nothing to be told of; its number stands for any currency.
        times: an hour is unusual that costs more than so many times the dearest hour of the days
            before; a run, that costs more than so many times the dearest of its job. None: never.
        days: how many days before are looked at.
        deliveries: how often one run may be delivered within an hour. None: as often as it is.
        share: which part of a day's money one run may take, if it is a dear one. None: all.
        hour: an hour in which all together spend more than this is told of, whatever was usual:
            from the app's first hour on. Its number stands for any currency, too. None: never.

    Raises:
        ValueError: the floor, or `hour`, is no amount of money.
        ConfigError: a number could not work.
    """

    floor: Money | str = "5 USD"
    times: float | None = 3.0
    days: int = 15
    deliveries: int | None = 10
    share: float | None = 0.5
    hour: Money | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "floor", Money.parse(self.floor))
        if self.hour is not None:
            object.__setattr__(self, "hour", Money.parse(self.hour))
        least = {"times": 1, "days": 1, "deliveries": 2, "share": 0}
        for name, most in least.items():
            value = getattr(self, name)
            if value is not None and value < most:
                raise ConfigError(f"{name}= is {value}", f"Give it {most} or more.")

    @property
    def floor_nanos(self) -> int:
        """The floor in billionths of any currency."""
        return Money.parse(self.floor).nanos

    @property
    def hour_nanos(self) -> int | None:
        """What an hour may cost in billionths of any currency, if that was said."""
        return None if self.hour is None else Money.parse(self.hour).nanos


def ordinary(peaks: Mapping[int, int], earliest: int, days: int) -> int | None:
    """What the dearest hour of a day usually costs, in nanos; None before there is a whole day.

    The days are those before the hour that is looked at, each of 24 hours. Of two weeks or more
    the dearest day is left aside: it may have been an accident. Of fewer it is not: it may be
    work that is done once a week.

    Args:
        peaks: nanos by the number of the day, counted back from 0, the last one.
        earliest: the number of the earliest hour in which anything was paid, counted back, too.
        days: how many days there may be.
    """
    known = min(days, (earliest + 1) // 24)
    if known < 1:
        return None
    dearest = sorted((*peaks.values(), 0), reverse=True)
    return (dearest[1] or dearest[0]) if known >= _TWO_WEEKS else dearest[0]


def unusual(spent: int, own: int | None, of_all: int | None, rules: Alarms) -> bool:
    """Does a job or a tenant spend, within an hour, what is out of its ordinary?

    Without days of its own it is compared with the dearest hour of all together: more than that is
    unusual for one that has only come. Without days of anybody nothing can be told.
    """
    if rules.times is None or spent < rules.floor_nanos:
        return False
    if own is not None:
        return spent > rules.times * own
    return of_all is not None and spent > of_all


def takes_most(paid: int, of_all: int, others: Sequence[int], rules: Alarms) -> bool:
    """Has one run taken most of a day's money, and far more than the `others` of its job cost?

    One without others to compare with is told of if it is dear.
    """
    if rules.share is None or rules.times is None or paid < max(1, rules.floor_nanos):
        return False
    if paid < rules.share * of_all:
        return False
    if not others:
        return paid >= _NEWCOMER * rules.floor_nanos
    return paid > rules.times * max(others)


def may_stand_out(paid: int, next_: int, rules: Alarms) -> bool:
    """Is a run dear, and far dearer than the `next_` one of its job?"""
    return rules.times is not None and paid >= max(1, rules.floor_nanos) and paid > _FAR * next_


def stands_out(paid: int, others: Sequence[int], rules: Alarms) -> bool:
    """Does one run cost far more than each of several others of its job?"""
    return len(others) >= _SOME and may_stand_out(paid, max(others), rules)
