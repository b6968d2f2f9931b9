"""`payonce why`: whoever it is asked for, figures are the same; what to run next can be run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.cli.shopping import payonce
from tests.report.past import NOON, Past

from payonce.journal.ledger import EntryFilter
from payonce.ledger import account
from payonce.model import RunState
from payonce.report.commands import command, of_store


def test_a_tenant_s_days_add_up_as_those_of_all(past: Past) -> None:
    """Where all is one tenant's, asking for it changes no figure: of a day, a model, a currency."""
    for n in range(1, 4):
        run = past.open(f"course:{n}")
        past.pay(run, "a", n, model="small")
        past.pay(run, "b", n, model="large", currency="EUR")
        past.pay(run, "c", None)
        past.journal.reject(past.pay(run, "d", 1, model="large"), "no good").now()
        past.clock.move(40_000)
    since = NOON - 30_000  # within a day
    for every in (EntryFilter(since, past.clock.now), EntryFilter(0.0, past.clock.now)):
        all_, one = (
            account(past.journal, every),
            account(past.journal, replace(every, tenant="acme")),
        )
        assert all_.models is not None
        assert (one.days, one.models, one.sums) == (all_.days, all_.models, all_.sums)
        assert len(one.days) == 2
    assert account(past.journal, replace(every, tenant="zeta")).days == []


@pytest.mark.parametrize("named", ["option", "environment"])
def test_what_to_run_next_is_for_the_same_store(
    past: Past, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """A store that was named by hand is named again; one that all commands find is not."""
    run = past.open()
    past.journal.reject(past.pay(run, "a"), "no good").now()
    past.close(run, RunState.PARKED)
    store = f"sqlite:///{past.file}"
    monkeypatch.setenv("PAYONCE_STORE", store)
    given = ["--store", store] if named == "option" else []
    todo = json.loads(payonce("why", "--day", "2026-06-12", "--json", *given).stdout)["next"]
    again = f" --store {store}" if named == "option" else ""
    assert [line.partition("payonce ")[2] for line in todo] == [
        f"wake MODULE:APP --job generate{again}.",
        f"show course:42 --job generate{again} --answers",
        f"show course:42 --job generate{again}",
    ]


def test_a_store_is_named_without_its_secrets() -> None:
    """A password that was given by hand is not printed in what to run next."""
    with of_store("postgresql://shop:hunter2@db/shop?schema=a b"):
        assert command("payonce runs") == (
            "payonce runs --store 'postgresql://shop:***@db/shop?schema=a b'"
        )
    assert command("payonce runs") == "payonce runs"
