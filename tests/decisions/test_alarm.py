"""What is out of the ordinary, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.alarm import Alarms, ordinary, stands_out, takes_most, unusual
from payonce.errors import ConfigError

DOLLAR = 1_000_000_000
RULES = Alarms()


def _days(*peaks: float) -> dict[int, int]:
    return {day: int(peak * DOLLAR) for day, peak in enumerate(peaks)}


@pytest.mark.parametrize(
    ("peaks", "earliest", "usual"),
    [
        ((), -1, None),
        ((9,), 22, None),
        ((9,), 23, 9),
        ((1, 0, 7, 2), 95, 7),
        ((0,) * 7 + (60,), 168, 60),
        ((1,) * 13 + (90,), 335, 1),
        ((0,) * 10 + (90,) + (0,) * 4, 359, 90),
        ((0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 41, 0), 359, 40),
    ],
    ids=[
        "nothing",
        "less than a day",
        "one day",
        "the dearest of a few days",
        "that of a day that is not whole counts, too",
        "an accident is left aside after two weeks",
        "what is rare is not",
        "once a week",
    ],
)
def test_the_ordinary_is_the_dearest_hour_of_days_before(
    peaks: tuple[float, ...], earliest: int, usual: float | None
) -> None:
    """Whole days only; of two weeks or more the dearest day is left aside."""
    nanos = None if usual is None else usual * DOLLAR
    assert ordinary(_days(*peaks), earliest, 15) == nanos


@pytest.mark.parametrize(
    ("spent", "own", "of_all", "told"),
    [
        (4.99, 0.01, None, False),
        (6, 2, None, False),
        (6.1, 2, None, True),
        (500, None, None, False),
        (60, None, 50, True),
        (50, None, 50, False),
        (5, 0, None, True),
    ],
)
def test_an_hour_is_compared_with_the_ordinary(
    spent: float, own: float | None, of_all: float | None, told: bool
) -> None:
    """Cents are nothing; whoever is new is compared with all together; with nothing, nothing is."""
    nanos = [None if value is None else int(value * DOLLAR) for value in (spent, own, of_all)]
    assert unusual(nanos[0] or 0, nanos[1], nanos[2], RULES) is told
    assert not unusual(nanos[0] or 0, nanos[1], nanos[2], Alarms(times=None))


@pytest.mark.parametrize(
    ("paid", "of_all", "others", "told"),
    [
        (30, 50, (2, 3), True),
        (30, 70, (2, 3), False),
        (30, 50, (2, 11), False),
        (4, 5, (0,), False),
        (49, 50, (), False),
        (51, 52, (), True),
    ],
)
def test_a_run_takes_most_of_the_money(
    paid: float, of_all: float, others: tuple[float, ...], told: bool
) -> None:
    """Half of it, and three times the dearest of its job; alone only if it is dear."""
    nanos = [int(other * DOLLAR) for other in others]
    assert takes_most(int(paid * DOLLAR), int(of_all * DOLLAR), nanos, RULES) is told
    assert not takes_most(int(paid * DOLLAR), int(of_all * DOLLAR), nanos, Alarms(share=None))


@pytest.mark.parametrize(
    ("paid", "others", "told"),
    [
        (11, (1,) * 5, True),
        (11, (1,) * 4, False),
        (11, (1, 1, 1, 1, 1.2), False),
        (4.9, (0.1,) * 5, False),
        (900, (), False),
    ],
    ids=["ten times", "of a few nothing is known", "near one", "cents", "alone"],
)
def test_a_run_stands_out(paid: float, others: tuple[float, ...], told: bool) -> None:
    """It costs more than ten times the dearest of five others or more, and more than the floor."""
    nanos = [int(other * DOLLAR) for other in others]
    assert stands_out(int(paid * DOLLAR), nanos, RULES) is told
    assert not stands_out(int(paid * DOLLAR), nanos, Alarms(times=None))


@given(
    peaks=st.lists(st.integers(DOLLAR, 100 * DOLLAR), min_size=1, max_size=20),
    days=st.integers(1, 20),
)
def test_what_was_there_on_two_days_is_never_unusual(peaks: list[int], days: int) -> None:
    """An hour as dear as that of any two days before rings no alarm, nor does any cheaper one."""
    usual = ordinary(dict(enumerate(peaks)), 24 * len(peaks) - 1, days)
    assert usual is not None
    seen = sorted(peaks[:days], reverse=True)
    assert not unusual(seen[min(1, len(seen) - 1)], usual, None, RULES)


def test_numbers_that_cannot_work_are_refused() -> None:
    """Where they are said, with what would do."""
    for wrong in ({"times": 0.5}, {"days": 0}, {"deliveries": 1}, {"share": -1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Alarms(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="amount of money"):
        Alarms(floor="5")
    with pytest.raises(ValueError, match="amount of money"):
        Alarms(hour="5")
