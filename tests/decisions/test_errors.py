"""What payonce raises goes through process pools, queues and copies as it was."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from payonce.errors import Busy, ConfigError, InDoubt, KeyReused, Parked, RetryLater

PARKED = Parked(
    "no such column: title",
    job="generate_course",
    run_key="course:42",
    kind="deterministic",
    fingerprint="8c1f",
    paid="yes",
    hold=True,
    todo="Run the migration.",
)
ERRORS = [
    PARKED,
    RetryLater("away", job="j", run_key="k", paid="no", after=7.5, todo="Deliver it again."),
    Busy(job="j", run_key="k", owner="vm/1", after=3.0),
    KeyReused("j", "k", ("tenant",)),
    ConfigError("this can't work", "Write it otherwise."),
    InDoubt("ask", 17, "it was cut", repeatable=False),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_a_pickle_and_a_copy(error: BaseException) -> None:
    """Its class, its words and all of its attributes."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def _park() -> None:
    raise PARKED


def test_a_process_pool_hands_it_on() -> None:
    """An exception that can't be unpickled would break the pool."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(Parked, match="no such column: title") as caught:
            pool.submit(_park).result(timeout=120)
        assert caught.value.hold
        assert pool.submit(len, "ok").result(timeout=120) == 2
