"""`resolve`: a person's word on what payonce can't know."""

from __future__ import annotations

from typing import Literal

import pytest
from click.testing import CliRunner, Result
from tests.cli.shopping import Shop, payonce, payonce_json

from payonce import values
from payonce.cli import main
from payonce.journal import journal_at
from payonce.journal.protocol import Opening
from payonce.model import CallState, Delivery, Intent, Receipt, World

NAMES = {"step": "shop.charge", "capture": "OpenAI POST /v1/responses"}


@pytest.fixture
def doubtful(shop: Shop) -> Shop:
    """A shop whose run order:3 is parked, because its worker was killed inside call 1."""
    shop.die("order", 3)
    shop.deliver("order", 3)
    return shop


def _state(key: str) -> tuple[str, list[str], str | None]:
    document = payonce_json("show", key)
    calls = [call["state"] for call in document["calls"]]
    return document["state"], calls, document["result"]


def test_what_happened_is_replayed(doubtful: Shop) -> None:
    """`--happened` pays the call by the answer given; the run gets it, and calls nothing."""
    result = payonce("resolve", "1", "--happened", "--answer", '"charge 99"')
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert payonce("wake", "shop:app").exit_code == 0
    assert _state("order:3") == ("done", ["paid"], '"charge 99"')


def test_what_did_not_happen_is_done_now(doubtful: Shop) -> None:
    """`--did-not-happen` releases the call; the run makes it."""
    assert payonce("resolve", "1", "--did-not-happen").exit_code == 0
    [row] = payonce_json("wake", "shop:app")
    assert (row["outcome"], row["paid_calls"]) == ("done", 1)
    assert _state("order:3") == ("done", ["released", "paid"], '"charge 3"')


def test_what_may_be_paid_again_stays_on_record(doubtful: Shop) -> None:
    """`--pay-again` lets the run repeat the call, which stays in doubt for the record."""
    document = payonce_json("resolve", "1", "--pay-again", "--because", "cheap")
    assert document["may_go_on"] is True
    doubtful.deliver("order", 3)
    assert _state("order:3") == ("done", ["in_doubt", "paid"], '"charge 3"')
    [call, _] = payonce_json("show", "order:3")["calls"]
    assert (call["resolution"], call["reason"]) == ("pay_again", "cheap")


def test_an_answer_that_cannot_be_rebuilt_may_be_paid_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer kept as a description becomes waste, and the call may be made again."""
    monkeypatch.setenv("BREAK", "1")
    shop.deliver("sketch", 1)
    monkeypatch.delenv("BREAK")
    payonce("wake", "shop:app", "--force")
    assert "can't be rebuilt" in payonce_json("show", "sketch:1")["next"][0]
    refused = payonce("resolve", "1", "--did-not-happen")
    assert "(paid: yes)" in refused.stderr
    assert payonce("resolve", "1", "--pay-again").exit_code == 0
    assert payonce("wake", "shop:app").exit_code == 0
    document = payonce_json("show", "sketch:1")
    assert document["state"] == "done"
    assert [call["rejected"] for call in document["calls"]] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("99", "--happened"), "there is no call 99"),
        (("2", "--pay-again"), "it is paid"),
    ],
)
def test_only_a_doubt_can_be_resolved(
    doubtful: Shop, arguments: tuple[str, ...], said: str
) -> None:
    """A call that isn't there, or is paid and can be replayed, is refused with its state."""
    doubtful.deliver("order", 4)
    result = payonce("resolve", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_call_is_resolved_once(doubtful: Shop) -> None:
    """The second word on a call is refused, and the first stays."""
    payonce("resolve", "1", "--did-not-happen")
    result = payonce("resolve", "1", "--pay-again")
    assert result.exit_code == 1
    assert "was resolved before: did not happen" in result.stderr


def test_a_call_at_work_is_not_resolved(shop: Shop) -> None:
    """A call that its attempt is still making, or seems to be, is refused."""
    shop.die("order", 3)
    result = payonce("resolve", "1", "--did-not-happen")
    assert result.exit_code == 1
    assert "it is intended" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("1",), ("1", "--pay-again", "--answer", "1"), ("1", "--happened", "--answer", "{")],
)
def test_a_word_has_to_be_whole(doubtful: Shop, arguments: tuple[str, ...]) -> None:
    """No word, an answer to no happening, or one that is no JSON: code 2, nothing changes."""
    assert payonce("resolve", *arguments).exit_code == 2
    assert _state("order:3")[:2] == ("parked", ["in_doubt"])


def _doubt(shop: Shop, key: str, source: Literal["step", "capture"], paid: bool = False) -> int:
    """A call in doubt that may have cost 2 USD; `paid` when it was repeated."""
    journal = journal_at(f"sqlite:///{shop.journal}")
    opening = Opening(
        job="shop.course",
        key=key,
        tenant="acme",
        arguments=b"{}",
        arguments_fingerprint="-",
        owner="here",
        lease=30.0,
        world=World("1", ""),
        delivery=Delivery(),
    )
    run = journal.open(opening).now()
    assert run is not None
    intents = [
        Intent(run.id, run.attempt, "k", 0, send, NAMES[source], source, ceiling_nanos=2 * 10**9)
        for send in (1, 2)
    ]
    call_id = journal.intend(intents[0]).now()
    assert isinstance(call_id, int)
    journal.end(call_id, intents[0], CallState.IN_DOUBT, "timeout").now()
    if paid:
        again = journal.intend(intents[1]).now()
        assert isinstance(again, int)
        journal.complete(again, intents[1], Receipt(values.encode("text", str, name="it"))).now()
    journal.stop()
    return call_id


def _all(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(main, ["resolve", "--all", *arguments], input=says)


def _open() -> list[int]:
    return [row["call"] for row in payonce_json("resolve", "--all")]


def test_a_captured_call_cannot_be_said_to_have_happened(shop: Shop) -> None:
    """Without the provider's answer there is nothing to replay: pay again, or it did not happen."""
    call_id = _doubt(shop, "course:1", "capture")
    result = payonce("resolve", str(call_id), "--happened")
    assert result.exit_code == 1
    assert "(paid: unknown)" in result.stderr
    assert "--pay-again" in result.stderr
    assert payonce("resolve", str(call_id), "--did-not-happen").exit_code == 0


def test_a_run_parked_for_another_reason_is_not_woken(shop: Shop) -> None:
    """A word on a call wakes only a run that was parked for want of it."""
    shop.deliver("course", 1, "acme")
    shop.execute(
        "UPDATE payonce_calls SET state = 'in_doubt', answer_id = NULL WHERE id = 1", "payonce.db"
    )
    assert payonce_json("resolve", "1", "--did-not-happen")["may_go_on"] is False
    assert payonce_json("show", "course:1")["state"] == "parked"


def test_the_doubts_of_an_outage_are_resolved_at_once(doubtful: Shop) -> None:
    """`--all` lists them, with what they may have cost; nobody is taken by surprise; with a word
    and a yes it is said of each, no budget counts them any more, and the parked run may go on."""
    for n in range(50):
        _doubt(doubtful, f"course:{n}", "capture")
    listed = _all("--did-not-happen", "--dry-run")
    assert "51 calls in doubt, at most: 100.00 USD, and 1 of unknown price" in listed.output
    assert _all("--did-not-happen", says="n\n").exit_code == 1
    assert len(_open()) == 51
    result = _all("--did-not-happen", says="y\n")
    assert "51 calls resolved: it did not happen. 1 parked run may go on" in result.output
    assert _open() == []
    assert _all("--did-not-happen").output == "No such call is in doubt.\n"
    doubts = [line["in_doubt"] for line in payonce_json("budget")]
    assert set(doubts) <= {None, "0.00"}
    assert payonce("wake", "shop:app").exit_code == 0


def test_a_word_is_said_of_those_that_it_fits(doubtful: Shop) -> None:
    """What was repeated is not paid again, and what was captured can't be said to have happened."""
    repeated = _doubt(doubtful, "course:1", "step", paid=True)
    captured = _doubt(doubtful, "course:2", "capture")
    step = _doubt(doubtful, "course:3", "step")
    told = {
        word: [row["call"] for row in payonce_json("resolve", "--all", word, "--dry-run")]
        for word in ("--happened", "--pay-again", "--did-not-happen")
    }
    assert told == {
        "--happened": [1, step],
        "--pay-again": [1, captured, step],
        "--did-not-happen": [1, repeated, captured, step],
    }
    [row] = payonce_json("resolve", "--all", "--happened", "--yes", "--job", "shop.course")
    assert (row["call"], row["resolution"], row["at_most"]) == (step, "happened", "2.00")


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        (("--job", "shop.course"), 2),
        (("--job", "shop.nothing"), 0),
        (("--tenant", "acme", "--run", "course:1"), 1),
        (("--step", NAMES["capture"]), 1),
        (("--since", "1h"), 3),
        (("--since", "2020-01-01", "--until", "1h"), 0),
    ],
)
def test_many_are_narrowed_down(doubtful: Shop, narrowed: tuple[str, ...], found: int) -> None:
    """By job, tenant, run key, step and time."""
    _doubt(doubtful, "course:1", "step")
    _doubt(doubtful, "course:2", "capture")
    assert len(payonce_json("resolve", "--all", *narrowed)) == found


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("1", "--all"),
        ("1", "--pay-again", "--dry-run"),
        ("1", "--pay-again", "--job", "shop.order"),
        ("--all", "--pay-again", "--json"),
        ("--all", "--pay-again", "--answer", "1"),
    ],
)
def test_one_or_all_are_meant(doubtful: Shop, arguments: tuple[str, ...]) -> None:
    """One call or all, narrowed down or not, and programs say that they are sure: else code 2."""
    assert payonce("resolve", *arguments).exit_code == 2
    assert _open() == [1]
