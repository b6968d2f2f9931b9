"""A broken deploy costs a few runs, not every tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.journal.stores import Clock
from tests.waking.conftest import School
from tests.waking.telling import outcome, runs, word

from payonce import Breaker, ConfigError, Parked, Payonce, RetryLater
from payonce.delivery import receiving
from payonce.model import Delivery


class Shop:
    """A job that pays once and then saves; `paid` says for whom, `broken` whether it fails."""

    def __init__(self, app: Payonce, school: School | None = None, **options: Any) -> None:
        self.app, self.paid = app, list[str]()
        self.broken: Callable[[str], None] | None = None

        @app.step(name="pay")
        def pay(tenant: str) -> str:
            self.paid.append(tenant)
            return "paid"

        @app.job(key="{tenant}", name="shop", tenant="{tenant}", **{"wait": 0} | options)
        def job(tenant: str) -> str:
            pay(tenant)
            if self.broken is not None:
                self.broken(tenant)
            if school is not None:
                school.save(tenant)
            return tenant

        self.job = job


def _bug(_: str) -> None:
    raise AttributeError("'NoneType' object has no attribute 'outline'")


def test_new_runs_are_held_once_three_have_failed(app: Payonce, school: School) -> None:
    """The fourth tenant's run is parked at the door, unpaid, and says why."""
    app.watch(f"sqlite:///{school.path}")
    shop = Shop(app, school)
    for tenant in "abcdefgh":
        assert word(shop.job, tenant) == "Parked"
    assert shop.paid == ["a", "b", "c"]
    held = outcome(shop.job, "i")
    assert isinstance(held, Parked)
    assert held.paid == "no"
    assert "held at the door" in held.reason
    assert "outline" in held.reason
    assert "schema" in held.todo
    known = runs(app)
    assert [known[t].held for t in "abcdefghi"] == [False] * 3 + [True] * 6
    assert len({run.fingerprint for run in known.values()}) == 1
    assert {run.attempt for run in known.values() if run.held} == {0}


def test_all_go_on_once_the_schema_has_changed(app: Payonce, school: School) -> None:
    """Held and failed runs alike go on under their own keys, and nothing is paid twice."""
    app.watch(f"sqlite:///{school.path}")
    shop = Shop(app, school)
    for tenant in "abcde":
        word(shop.job, tenant)
    school.migrate()
    assert [word(shop.job, tenant) for tenant in "edcbaf"] == ["done"] * 6
    assert sorted(shop.paid) == list("abcdef")


def test_a_delivery_of_a_held_run_pays_nothing(app: Payonce) -> None:
    """However often it is delivered, its job is not called."""
    shop = Shop(app)
    shop.broken = _bug
    for _ in range(3):
        for tenant in "abcd":
            assert word(shop.job, tenant) == "Parked"
    assert shop.paid == ["a", "b", "c"]
    app.close()
    arrivals = app.journal.history(runs(app)["d"].id).arrivals
    assert [arrival.answer for arrival in arrivals] == ["park"] * 3


def test_the_breaker_is_shared(make_app: Callable[..., Payonce]) -> None:
    """What failed in some processes holds new runs in all others at once."""
    shops = [Shop(make_app()) for _ in range(5)]
    for shop, tenant in zip(shops, "abcde", strict=True):
        shop.broken = _bug
        assert word(shop.job, tenant) == "Parked"
    assert [shop.paid for shop in shops] == [["a"], ["b"], ["c"], [], []]


def test_another_version_starts_with_a_closed_breaker(make_app: Callable[..., Payonce]) -> None:
    """The next deploy is tried, and held again only when it fails, too."""
    one, two = Shop(make_app()), Shop(make_app(version="2"))
    one.broken = _bug
    for tenant in "abcd":
        word(one.job, tenant)
    assert [word(two.job, tenant) for tenant in "abcde"] == ["done"] * 5
    assert (one.paid, two.paid) == (["a", "b", "c"], ["d", "e"])


def test_a_run_that_is_done_closes_the_breaker(app: Payonce) -> None:
    """Some bad inputs among good ones never hold anybody."""
    shop = Shop(app)
    shop.broken = lambda tenant: _bug(tenant) if tenant.startswith("bad") else None
    for n in range(4):
        assert word(shop.job, f"bad {n}") == "Parked"
        assert word(shop.job, f"bad {n} again") == "Parked"
        assert word(shop.job, f"good {n}") == "done"


def test_different_causes_are_told_apart(app: Payonce) -> None:
    """Three runs that fail by three causes hold nobody."""
    shop = Shop(app)

    def fail(tenant: str) -> None:
        raise {"a": AttributeError, "b": TypeError, "c": KeyError}.get(tenant, IndexError)("x")

    shop.broken = fail
    for tenant in "abcd":
        word(shop.job, tenant)
    assert shop.paid == list("abcd")


def test_other_jobs_are_not_held(app: Payonce) -> None:
    """A breaker belongs to one job."""
    shop = Shop(app)
    shop.broken = _bug
    for tenant in "abcd":
        word(shop.job, tenant)

    @app.job(key="{n}")
    def other(n: int) -> int:
        return n

    assert other(1) == 1


def test_now_and_then_one_run_is_let_in(app: Payonce, clock: Clock) -> None:
    """After 15 minutes one new run is tried; when it is done the others may go on, too."""
    shop = Shop(app)
    shop.broken = _bug
    for tenant in "abcde":
        word(shop.job, tenant)
    clock.move(901)
    assert [word(shop.job, tenant) for tenant in "fde"] == ["Parked"] * 3
    assert shop.paid == ["a", "b", "c", "f"]
    clock.move(901)
    word(shop.job, "g")
    assert shop.paid == ["a", "b", "c", "f"]
    clock.move(900)
    shop.broken = None
    assert [word(shop.job, tenant) for tenant in "degh"] == ["done"] * 4
    assert [word(shop.job, tenant) for tenant in "abcf"] == ["Parked"] * 4


def test_a_watched_schema_is_waited_for_without_probes(
    app: Payonce, school: School, clock: Clock
) -> None:
    """Where the change will be seen, not even a night of deliveries costs another run."""
    app.watch(f"sqlite:///{school.path}")
    shop = Shop(app, school)
    for tenant in "abcd":
        word(shop.job, tenant)
    for hour in range(8):
        clock.move(3600)
        assert word(shop.job, f"hour {hour}") == "Parked"
    assert shop.paid == ["a", "b", "c"]


def test_an_unwatched_schema_is_probed_for_nothing(
    app: Payonce, school: School, clock: Clock
) -> None:
    """A parked run is tried again after 15 minutes, replays what was paid, and heals."""
    shop = Shop(app, school)
    told = outcome(shop.job, "a")
    assert "app.watch" in told.todo
    assert "15 min" in told.todo
    clock.move(899)
    word(shop.job, "a")
    assert runs(app)["a"].attempt == 1
    clock.move(2)
    again = outcome(shop.job, "a")
    assert isinstance(again, Parked)
    assert "30 min" in again.todo
    assert (runs(app)["a"].attempt, shop.paid) == (2, ["a"])
    school.migrate()
    clock.move(1800)
    assert word(shop.job, "a") == "done"
    assert shop.paid == ["a"]


def test_credentials_are_probed(app: Payonce, clock: Clock) -> None:
    """What can be mended without a trace in the world is tried again now and then."""
    shop = Shop(app)

    def refused(_: str) -> None:
        raise PermissionErrorOfAProvider("invalid api key")

    class PermissionErrorOfAProvider(Exception):
        status_code = 401

    shop.broken = refused
    told = outcome(shop.job, "a")
    assert "credentials" in told.todo
    assert "15 min" in told.todo
    clock.move(901)
    shop.broken = None
    assert word(shop.job, "a") == "done"
    assert shop.paid == ["a"]


def test_a_probe_that_would_pay_is_the_last(app: Payonce, school: School, clock: Clock) -> None:
    """A job that asks something new each time is probed once, then a person is waited for."""
    paid = []

    @app.step(name="pay")
    def pay(n: int) -> int:
        paid.append(n)
        return n

    @app.job(key="k")
    def drifting() -> None:
        pay(len(paid))
        school.save("k")

    word(drifting)
    for _ in range(5):
        clock.move(1_000_000)
        told = outcome(drifting)
    assert len(paid) == 2
    assert "is tried again" not in told.todo


def test_in_a_new_world_no_more_begin_than_there_is_room_for(
    make_app: Callable[..., Payonce],
) -> None:
    """After one failure, runs wait until it is seen how those at work end."""
    outer, inner = Shop(make_app()), Shop(make_app())
    outer.broken = inner.broken = _bug
    word(outer.job, "a")
    seen: list[Any] = []

    def second(tenant: str) -> None:
        def third(tenant: str) -> None:
            seen.append(outcome(Shop(inner.app).job, "d"))
            _bug(tenant)

        inner.broken = third
        seen.append(outcome(inner.job, "c"))
        _bug(tenant)

    outer.broken = second
    assert word(outer.job, "b") == "Parked"
    waits, parked = seen
    assert isinstance(parked, Parked)
    assert isinstance(waits, RetryLater)
    assert waits.paid == "no"
    assert "2 runs of this job are at work" in waits.reason
    assert outer.paid == ["a", "b"]
    assert inner.paid == ["c"]
    assert runs(outer.app)["d"].attempt == 0


def test_a_cautious_job_is_proven_by_its_first_run(make_app: Callable[..., Payonce]) -> None:
    """Before one run is done no more than the threshold begin, even if none has failed."""
    breaker = Breaker(runs=1, cautious=True)
    shop, other = Shop(make_app(), breaker=breaker), Shop(make_app(), breaker=breaker)
    seen = []
    shop.broken = lambda _: seen.append(word(other.job, "b"))
    assert word(shop.job, "a") == "done"
    shop.broken = lambda _: seen.append(word(other.job, "b"))
    assert word(shop.job, "c") == "done"
    assert seen == ["RetryLater", "done"]


def test_a_run_that_a_person_lets_go_is_not_held(app: Payonce) -> None:
    """A wake by force counts more than the breaker, for a failed run and for one that was held."""
    shop = Shop(app)
    shop.broken = _bug
    for tenant in "abcd":
        word(shop.job, tenant)
    shop.broken = None
    for tenant in "ad":
        assert app.journal.wake(runs(app)[tenant]).now()
        assert word(shop.job, tenant) == "done"


def test_a_job_may_do_without_a_breaker(app: Payonce) -> None:
    """Then each run finds out by itself."""
    shop = Shop(app, breaker=None)
    shop.broken = _bug
    for tenant in "abcdef":
        word(shop.job, tenant)
    assert shop.paid == list("abcdef")


def test_a_held_message_stays_in_its_queue_where_that_is_wanted(app: Payonce) -> None:
    """With on_park="hold" the queue keeps what is held, else it may forget it."""
    for on_park in ("hold", "ack"):
        shop = Shop(app, on_park=on_park)
        shop.broken = _bug
        for tenant in "abcd":
            with receiving(Delivery("cloud-tasks")) as scope:
                assert word(shop.job, tenant) == "Parked"
            assert scope.verdict is not None
            assert (scope.verdict.word, scope.verdict.hold) == ("park", on_park == "hold")


def test_an_impossible_breaker_is_refused(app: Payonce) -> None:
    """A threshold of nothing, and a probe before now, can't work."""
    for breaker in (Breaker(runs=0), Breaker(probe_after=-1)):
        with pytest.raises(ConfigError):
            app.job(key="k", breaker=breaker)
