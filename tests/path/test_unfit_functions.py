"""What can't be a job or a step is told where it is written, in words that say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from payonce import ConfigError, Parked, Payonce


class Desk:
    """Has a method that is paid for."""

    def ask(self, question: str) -> str:
        """Give an answer."""
        return question


@pytest.fixture
def app(tmp_path: Path) -> Payonce:
    """An app that nothing has opened yet."""
    return Payonce(f"sqlite:///{tmp_path / 'journal.db'}", look_every=None)


def test_a_method_is_no_job(app: Payonce) -> None:
    """Its run could not be called again: the journal has no object."""

    class Batch:
        def run(self, n: int) -> int:
            return n

        @staticmethod
        @app.job(key="static:{n}")
        def alone(n: int) -> int:
            return n

    for ignored in ((), ("self",)):
        with pytest.raises(ConfigError, match="takes self, which the journal can't keep"):
            app.job(key="batch:{n}", ignore_args=ignored)(Batch.run)
    assert app.job(key="batch:{n}")(Batch().run)(1) == 1
    assert Batch.alone(2) == 2
    app.close()


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_the_order_of_decorators_is_told(app: Payonce, kind: Any) -> None:
    """A classmethod or a staticmethod below is no function."""

    def function(n: int) -> int:
        return n

    for decorate in (app.job(key="k:{n}"), app.step):
        with pytest.raises(ConfigError, match=f"is a {kind.__name__}") as caught:
            cast(Any, decorate)(kind(function))
        assert caught.value.todo == f"Write @{kind.__name__} above, not below."


def test_a_word_that_is_none_is_refused(app: Payonce) -> None:
    """A typing error in `on_park=` or `in_doubt=` would otherwise mean the default."""
    with pytest.raises(ConfigError, match="on_park= is 'keep'") as caught:
        app.job(key="k", on_park=cast(Any, "keep"))
    assert caught.value.todo == 'Give it "ack" or "hold".'
    with pytest.raises(ConfigError, match="in_doubt= is 'ask'"):
        app.step(in_doubt=cast(Any, "ask"))(len)


def test_a_step_that_is_a_method_is_told_what_it_lacks(app: Payonce) -> None:
    """The parked run's reason says what to write; with it the method is a step."""

    ask = app.step(cost="0.02 USD", name="ask")(Desk.ask)
    told = app.step(cost="0.02 USD", key="{question}")(Desk.ask)

    @app.job(key="asks:{n}", name="asks")
    def asks(n: int) -> str:
        return ask(Desk(), "why")

    @app.job(key="tells:{n}")
    def tells(n: int) -> str:
        return told(Desk(), "why")

    with pytest.raises(Parked) as caught:
        asks(1)
    assert 'Give the step a key= of its other arguments, such as key="{customer}"' in str(
        caught.value
    )
    assert tells(1) == "why"
    app.close()
