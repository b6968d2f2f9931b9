"""Both colours walk the same way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from tests.journal.making import opening

from payonce import NoJournal, NotAJournal, Payonce
from payonce.effects import Invoke, Pause, Way, Work, adrive, drive, journaled

Walk = Callable[[Way[Any], Any], Any]


def _sync(way: Way[Any]) -> Any:
    return drive(way)


def _async(way: Way[Any]) -> Any:
    return asyncio.run(adrive(way))


BOTH = pytest.mark.parametrize("walk", [_sync, _async])


@BOTH
def test_a_way_is_sent_its_results(walk: Any, app: Payonce) -> None:
    """Work, pauses and writes of the journal give back what they made."""
    journal = app.journal

    def way() -> Way[Any]:
        made = yield Work(lambda: 1)
        paused = yield Pause(0)
        run = yield journal.open(opening())
        return made, paused, run.attempt

    assert walk(way()) == (1, None, 1)


@BOTH
def test_a_failure_is_raised_where_it_was_asked_for(walk: Any) -> None:
    """The way may catch it and go on, or let it out."""

    def fail() -> None:
        raise KeyError("inside")

    def way() -> Way[Any]:
        try:
            yield Work(fail)
        except KeyError:
            yield Work(lambda: None)
        yield Work(fail)

    with pytest.raises(KeyError, match="inside"):
        walk(way())


@BOTH
def test_a_way_without_effects_is_walked(walk: Any) -> None:
    """It may end before it has asked for anything."""

    def way() -> Way[int]:
        if not callable(walk):
            yield Pause(0)
        return 7

    assert walk(way()) == 7


def test_the_users_own_call_is_made_on_the_spot() -> None:
    """In the caller's thread, and in the caller's task."""

    def here() -> Way[Any]:
        return (yield Invoke(threading.get_ident))

    async def task() -> Any:
        return asyncio.current_task()

    def there() -> Way[Any]:
        return (yield Invoke(task))

    async def main() -> bool:
        return await adrive(there()) is asyncio.current_task()

    assert drive(here()) == threading.get_ident()
    assert asyncio.run(main())


def test_work_does_not_block_the_event_loop() -> None:
    """It is done in another thread, where the context variables are those of the caller."""
    seen: ContextVar[str] = ContextVar("seen", default="nothing")
    go = threading.Event()

    def work() -> tuple[int, str]:
        assert go.wait(10)
        return threading.get_ident(), seen.get()

    def way() -> Way[Any]:
        return (yield Work(work))

    async def main() -> tuple[int, str]:
        seen.set("the caller's")
        task = asyncio.ensure_future(adrive(way()))
        await asyncio.sleep(0)
        go.set()
        return await task  # type: ignore[no-any-return]

    thread, value = asyncio.run(main())
    assert (thread != threading.get_ident(), value) == (True, "the caller's")


@BOTH
@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (OSError("disk full"), NoJournal),
        (NotAJournal("it is a text", "Name another."), NotAJournal),
    ],
)
def test_a_journal_that_fails_is_told_as_such(walk: Any, raised: Exception, told: Any) -> None:
    """Its own errors stay what they are; any other becomes `NoJournal`."""

    def fail() -> None:
        raise raised

    with pytest.raises(told):
        walk(journaled(Work(fail)))
