"""`payonce why`: the sentence is true, whatever happened; sums never mix, nothing counts twice."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion
from tests.cli.shopping import Shop, payonce, payonce_json
from tests.journal.making import NO_COLUMN, intended, receipt
from tests.journal.making import intent as intent_of
from tests.report.past import CENT, NOON, Past

from payonce import budget
from payonce.journal.ledger import EntryFilter
from payonce.ledger import account
from payonce.model import CallState, Delivery, RunState, WakesOn
from payonce.money import Budget
from payonce.report.why_tree import trees
from payonce.report.why_view import Drawn
from payonce.report.why_words import lasting, money, percent


def test_the_accident_reads_well(past: Past) -> None:
    """One run parked at its write: what it cost, by what it was sent, what the 20 others cost."""
    run = past.open()
    for step in ("outline", "chapter", "review"):
        past.pay(run, step)
    past.close(run, RunState.PARKED, at_step="review")
    past.deliver(run, 20)
    past.pay(past.open("course:7", tenant="zeta"), "outline")
    assert past.sentence() == (
        "75 % of the 0.04 USD that was paid on 12 June 2026 went to one run, generate course:42 of "
        "tenant acme: 21 deliveries by Cloud Tasks (20 of them repeats) in 20 min; it parked after "
        "review: no such column; the 20 further deliveries while it was parked cost nothing; it "
        "waits until the schema or code changes; 0.03 USD not yet of use."
    )


def test_what_healed_is_told_as_healed(past: Past) -> None:
    """After the migration the same run ends, and what that cost is said: nothing again."""
    run = past.open()
    past.pay(run, "outline", 5)
    past.close(run, RunState.PARKED)
    past.deliver(run, 2)
    past.clock.move(60)
    run = past.open()
    past.close(run)
    told = past.sentence()
    assert told.startswith("All of the 0.05 USD that was paid on 12 June 2026 went to one run,")
    assert "the 2 further deliveries while it was parked cost nothing; " in told
    assert told.endswith("attempt 2 ended it, paying nothing again.")
    assert past.document()["saved"][0] | {"tenant": ""} == {
        "job": "generate",
        "key": "course:42",
        "tenant": "",
        "deliveries": 3,
        "currency": "USD",
        "saved": "0.15",
        "receipts": 3,
        "unknown_price": 0,
    }


def test_attempts_that_paid_again_and_again_are_told_each(past: Past) -> None:
    """Many attempts, each failing alike after new payments: each is counted, none called free."""
    for n in range(1, 6):
        run = past.open()
        past.pay(run, "draw", 2, intent={"occurrence": n})
        past.close(run, RunState.WAITING, at_step="draw", diagnosis=NO_COLUMN)
        past.clock.move(3600)
    told = past.sentence()
    assert "All of the 0.10 USD" in told
    assert "5 deliveries by Cloud Tasks (4 of them repeats) in 4 h" in told
    assert "each failing after draw: no such column" in told
    assert "cost nothing" not in told
    assert told.endswith("it waits for its next try; 0.10 USD not yet of use.")


def test_waste_is_what_was_rejected_or_doubled(past: Past) -> None:
    """A rejected receipt, and a late second one in the same place, are wasted; the rest is not."""
    run = past.open()
    past.journal.reject(past.pay(run, "review", 4), "too short").now()
    late = intended(past.journal, run, "outline")
    past.journal.end(late, intent_of(run, "outline"), CallState.IN_DOUBT, "timeout").now()
    past.pay(run, "outline", 3, intent={"send": 2})
    past.journal.complete(late, intent_of(run, "outline"), receipt(cost_nanos=3 * CENT)).now()
    past.close(run)
    assert past.sentence().endswith("it is done; 0.07 USD wasted.")
    (total,) = past.document()["totals"]
    assert (total["paid"], total["wasted"], total["wasted_calls"]) == ("0.10", "0.07", 2)
    assert "wasted    0.07 USD, 2 receipts that did no good" in past.ask().stdout
    assert "of use    0.03 USD\n" in past.ask().stdout


def test_a_call_in_doubt_is_told_at_its_ceiling_its_repeat_or_as_unknown(past: Past) -> None:
    """What may have been billed besides is never part of what was paid."""
    run = past.open()
    for step, ceiling in (("a", 9 * CENT), ("b", None), ("c", None)):
        call = intended(past.journal, run, step, ceiling_nanos=ceiling)
        past.journal.end(call, intent_of(run, step), CallState.IN_DOUBT, "killed").now()
    past.pay(run, "b", 2, intent={"send": 2})
    assert "up to 0.09 USD more in doubt" in past.sentence()
    assert "in doubt  3 calls, up to 0.11 USD and 1 amount not known" in past.ask().stdout
    found = [(each["at_most"], each["repeat_cost"]) for each in past.document()["in_doubt"]]
    assert found == [("0.09", None), (None, "0.02"), (None, None)]
    asked = [line for line in past.document()["next"] if "resolve" in line]
    assert [re.findall(r"resolve (\d)", line) for line in asked] == [["1"], ["3"]]


def test_currencies_stand_side_by_side(past: Past) -> None:
    """The one with the most receipts is told of; the others besides, each with its own tree."""
    run = past.open()
    past.pay(run, "a", 100)
    past.pay(run, "b", 100)
    past.pay(run, "c", 500, currency="EUR")
    shown = past.ask().stdout
    assert past.sentence().startswith("All of the 2.00 USD that was paid")
    assert "Besides, 5.00 EUR was paid by 1 call." in shown
    assert "paid      2.00 USD and 5.00 EUR" in shown
    assert len(re.findall("^12 June 2026 ", shown, re.MULTILINE)) == 2


def test_unknown_prices_are_counted_apart(past: Past) -> None:
    """Where no price is known calls are compared, and nothing is called free."""
    run = past.open()
    past.pay(run, "a", None)
    past.pay(run, "b", None)
    past.pay(past.open("course:1"), "a", None)
    told = past.sentence()
    assert told.startswith(
        "67 % of the 3 paid calls, of unknown price, on 12 June 2026 went to one run"
    )
    assert "0.00" not in told
    assert "paid      3 calls of unknown price" in past.ask().stdout


def test_a_step_around_captured_calls_counts_once(past: Past) -> None:
    """Neither sums, nor the tree, nor what was saved count a step besides the calls it made."""
    run = past.open()
    outer = intended(past.journal, run, "write")
    inner = {"source": "capture", "parent_id": outer}
    past.pay(run, "openai POST /v1/responses", 2, intent=inner)
    past.journal.complete(outer, intent_of(run, "write"), receipt()).now()
    past.close(run, RunState.PARKED)
    past.deliver(run, 1)
    document = past.document()
    (total,) = document["totals"]
    assert (total["calls"], total["unknown_price"], total["paid"]) == (1, 0, "0.02")
    assert (document["saved"][0]["receipts"], document["saved"][0]["unknown_price"]) == (1, 0)
    assert "write" not in past.ask().stdout.partition("What to do now")[0].partition("└")[2]


def test_a_flat_day_has_no_culprit(past: Past) -> None:
    """Where nothing stands out the sentence says so, and names the dearest run all the same."""
    for n in range(1, 10):
        run = past.open(f"course:{n}", tenant=f"t{n % 3}")
        past.pay(run, "a", 10 + n)
        past.close(run)
    assert past.sentence() == (
        "No run, tenant or job stands out on 12 June 2026: 1.35 USD went to 9 runs; the dearest, "
        "generate course:9 of tenant t0, took 14 %."
    )


def test_a_tenant_may_stand_out_where_no_run_does(past: Past) -> None:
    """Several runs of one tenant that have half of the money are told of together."""
    for n in range(1, 7):
        run = past.open(f"course:{n}", tenant="acme" if n < 5 else f"t{n}")
        past.pay(run, "a", 10)
        past.close(run, RunState.PARKED if n < 3 else RunState.DONE)
    assert past.sentence() == (
        "67 % of the 0.60 USD that was paid on 12 June 2026 went to tenant acme (4 runs of "
        "generate); 2 runs are parked by one cause: no such column."
    )


def test_the_money_of_pruned_runs_is_still_told(past: Past) -> None:
    """The ledger stays; that attempts and deliveries are gone is said, not guessed."""
    for n in range(1, 4):
        run = past.open(f"course:{n}")
        past.pay(run, "a", 100 if n == 1 else 1)
        past.close(run)
        past.clock.move(60)
    assert past.journal.prune(past.clock.now - 130).runs == 1
    told = past.sentence()
    assert told.startswith("98 % of the 1.02 USD that was paid on 12 June 2026 went to one run,")
    assert told.endswith("tenant acme: its attempts and deliveries have been pruned since.")
    assert "1.00 USD of runs that have been pruned since" in past.ask().stdout
    assert "run course:1" in past.ask("--run", "course:1").stdout
    gone = next(run for run in past.document()["runs"] if run["key"] == "course:1")
    assert (gone["pruned"], gone["state"], gone["deliveries"]) == (True, None, 0)


def test_a_run_that_parked_before_it_paid_is_told_of(past: Past) -> None:
    """Where nothing was paid the sentence says what parked, why, and what deliveries cost."""
    run = past.open()
    past.close(run, RunState.PARKED)
    past.deliver(run, 20)
    assert past.sentence() == (
        "Nothing was paid for in this period: generate course:42 of tenant acme parked: "
        "no such column; 20 further deliveries cost nothing."
    )
    assert past.sentence("--run", "course:42").startswith("Nothing was paid for in this period: ")


def test_runs_held_at_the_door_have_not_failed(past: Past) -> None:
    """A run that the breaker held back is parked by the cause of others, and paid nothing."""
    run = past.open("course:1")
    past.pay(run, "a")
    past.close(run, RunState.PARKED)
    past.open("course:2", held_by=NO_COLUMN)
    (cause,) = past.document()["parked"]
    assert (cause["runs"], cause["held"]) == (2, 1)


def test_a_budget_that_parks_runs_is_named_by_the_command_that_raises_it(past: Past) -> None:
    """It can be pasted as it is, but for the amount."""
    rule = Budget("tenant", "the acme shop", "day", None)
    found = replace(
        NO_COLUMN, fingerprint=budget.fingerprint(rule), wakes_on=(WakesOn.BUDGET,), evidence="B"
    )
    run = past.open(tenant="the acme shop")
    past.pay(run, "a")
    past.close(run, RunState.PARKED, diagnosis=found)
    raising = "payonce budget set 'N USD' --tenant 'the acme shop' --per day --store"
    assert any(
        f"{raising} sqlite:///{past.file} raises the budget" in line
        for line in past.document()["next"]
    )


def test_triggers_are_told_apart(past: Past) -> None:
    """Queues, schedules, people and payonce's own looks are told apart by what they say."""
    run = past.open()
    past.pay(run, "a")
    past.close(run, RunState.PARKED)
    for queue, agent in (
        ("http", "Google-Cloud-Scheduler"),
        ("http", "curl/8.5.0"),
        ("wake", None),
        ("lookout", None),
    ):
        past.journal.note(run.id, Delivery(queue, user_agent=agent), "park").now()
    (told,) = past.document()["runs"]
    assert told["triggers"] == {
        "Cloud Tasks": 1,
        "a schedule (Google-Cloud-Scheduler)": 1,
        "a person (curl)": 1,
        "a person's payonce wake": 1,
        "payonce's own look": 1,
    }


def test_without_a_period_it_is_the_last_day_on_which_money_moved(past: Past) -> None:
    """Where nothing was paid since yesterday, the day before is not a blank page."""
    past.pay(past.open(), "a")
    past.journal.stop()
    shown = payonce("why", "--store", f"sqlite:///{past.file}").stdout
    assert "2026-06-12 00:00 to 2026-06-13 00:00 UTC (the last day on which money moved" in shown
    assert shown.startswith("All of the 0.01 USD that was paid on 12 June 2026")


def test_days_begin_at_midnight_wherever_a_period_does(past: Past) -> None:
    """A period that begins within a day has a first part of a day, then whole ones."""
    for step in ("a", "b", "c"):
        run = past.open(f"course:{step}")
        past.pay(run, step)
        past.clock.move(43_200)
    days = past.document("--since", "2026-06-12T10:00")["days"]
    assert [(day["day"], day["totals"][0]["calls"]) for day in days] == [
        ("2026-06-12", 1),
        ("2026-06-13", 2),
    ]


def test_names_do_no_harm_in_a_post_mortem(past: Past) -> None:
    """What anybody may have called a key is no Markdown, and no markup of a terminal."""
    run = past.open("a|b`<img src=x>[red]*")
    past.pay(run, "a")
    shown = past.ask("--markdown").stdout
    assert "a\\|b\\`\\<img src=x\\>\\[red\\]\\*" in shown
    assert "<img" not in shown.replace("\\<img", "")
    assert "a|b`<img src=x>[red]*" in past.ask().stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--day", "2026-06-12", "--since", "1d"], "--day is a period of its own"),
        (["--day", "12 June"], "is no day"),
        (["--since", "soon"], "is no moment"),
        (["--since", "2026-06-13", "--until", "2026-06-12"], "before --until"),
        (["--json", "--markdown", "--day", "today"], "choose one"),
    ],
)
def test_a_command_written_wrongly_ends_with_2(past: Past, arguments: list[str], told: str) -> None:
    """Exit code 2, and what to write instead."""
    result = payonce("why", "--store", f"sqlite:///{past.file}", *arguments)
    assert (result.exit_code, told in result.output) == (2, True), result.output


def test_an_unknown_run_ends_with_1(past: Past) -> None:
    """A key that no run has ever had is an error; one with nothing in the ledger is not."""
    assert past.ask("--run", "nope").exit_code == 1
    past.close(past.open(), RunState.PARKED)
    assert past.ask("--run", "course:42").exit_code == 0


@pytest.mark.parametrize("way", ["", "--markdown"])
def test_what_people_see(shop: Shop, way: str, snapshot: SnapshotAssertion) -> None:
    """The report reads as it did when somebody last looked at it."""
    shop.deliver("course", 1, "acme", times=21)
    shop.deliver("course", 2, "zenith")
    shop.die("order", 3)
    shop.deliver("order", 3)
    shop.deliver("review", 7)
    shop.deliver("order", 4)
    shown = payonce("why", *way.split()).stdout
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "yyyy-mm-dd hh:mm", shown)
    shown = re.sub(r"\d+ \w+ 20\d\d", "d Month yyyy", shown)
    shown = re.sub(r"d Month yyyy {2,}", "d Month yyyy  ", shown)
    shown = re.sub(r"since (yesterday|Friday);", "since then;", shown)
    shown = re.sub(r"came .* ago:", "came … ago:", shown)
    shown = re.sub(r" in (less than a second|\d+ s)\b", " in …", shown)
    assert shown == snapshot


def test_programs_get_the_same(shop: Shop) -> None:
    """The document has the fields that `docs/morning-after.md` names, and no other."""
    shop.deliver("course", 1, "acme", times=3)
    shop.die("order", 3)
    shop.deliver("order", 3)
    page = Path(__file__).parents[2] / "docs" / "morning-after.md"
    named = set(re.findall(r"^\| `(\w+)`", page.read_text("utf-8"), re.MULTILINE))
    assert _fields(payonce_json("why")) == named


def _fields(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in _fields(each)}
    if not isinstance(value, dict):
        return set()
    own = {*value} - {"direct calls"}
    return own | {name for each in value.values() for name in _fields(each)}


def test_amounts_are_said_as_people_say_them() -> None:
    """To the cent, small ones to three digits that count, and shares are all only where all."""
    amounts = [312_403_817_293, 19_400_000, 12_345, 0, 7, 1_999_999_999_999]
    assert [money(nanos, "USD") for nanos in amounts] == [
        "312.40 USD",
        "0.0194 USD",
        "0.0000123 USD",
        "0.00 USD",
        "0.000000007 USD",
        "2000.00 USD",
    ]
    assert [percent(*pair) for pair in ((1, 1), (999, 1000), (1, 1000), (1, 3))] == [
        "All",
        "More than 99 %",
        "Less than 1 %",
        "33 %",
    ]
    assert [lasting(each) for each in (0.2, 59, 20_880, 90_000)] == [
        "less than a second",
        "59 s",
        "5 h 48 min",
        "1 d 1 h",
    ]


def test_a_storm_among_many_runs_is_the_culprit(past: Past) -> None:
    """A run with a fifth of the money stands out where each other one has next to nothing."""
    for n in range(1, 41):
        run = past.open(f"course:{n}")
        past.pay(run, "a", 100 if n == 7 else 9)
    assert past.sentence().startswith(
        "22 % of the 4.51 USD that was paid on 12 June 2026 went to one run, generate course:7 of"
    )


@pytest.mark.parametrize("width", [60, 80, 120, 400])
def test_the_tree_has_one_line_for_each_node(past: Past, width: int) -> None:
    """However wide the terminal is, bars and amounts stay; names and notes are cut."""
    run = past.open("course:" + 90 * "x")
    past.pay(run, "a step of a rather long name " * 3)
    past.close(run, RunState.PARKED)
    period = EntryFilter(NOON - 9e5, NOON + 9e5)
    out = Console(file=io.StringIO(), width=width)
    out.print(Drawn(trees(account(past.journal, period), "USD")))
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 6
    assert max(len(line) for line in lines) <= width
    assert all("0.01 USD  1 call" in line and "█" in line for line in lines)
