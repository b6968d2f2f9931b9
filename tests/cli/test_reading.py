"""`runs`, `show` and `parked`, over a journal that real jobs have written."""

from __future__ import annotations

import pytest
from tests.cli.shopping import Shop, payonce, payonce_json


def test_runs_counts_deliveries_calls_and_waste(shop: Shop) -> None:
    """A line has what a run was delivered, what it paid and what was rejected."""
    shop.deliver("course", 1, "acme", times=3)
    shop.deliver("review", 7)
    rows = {(row["job"], row["key"]): row for row in payonce_json("runs")}
    parked, reviewed = rows["shop.course", "course:1"], rows["shop.review", "course:7"]
    assert (parked["state"], parked["tenant"], parked["deliveries"]) == ("parked", "acme", 3)
    assert (parked["attempts"], parked["paid_calls"], parked["wasted"]) == (1, 3, 0)
    assert (reviewed["state"], reviewed["paid_calls"], reviewed["wasted"]) == ("done", 2, 2)
    assert "outline" in parked["reason"]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ((), ["order:3", "course:2", "course:1"]),
        (("--state", "done"), ["order:3"]),
        (("--job", "shop.course"), ["course:2", "course:1"]),
        (("--key", "course:2"), ["course:2"]),
        (("--tenant", "acme"), ["course:1"]),
        (("--limit", "1"), ["order:3"]),
    ],
)
def test_runs_are_filtered(shop: Shop, options: tuple[str, ...], keys: list[str]) -> None:
    """Each option leaves out what it doesn't name; the last changed comes first."""
    shop.deliver("course", 1, "acme")
    shop.deliver("course", 2, "zenith")
    shop.deliver("order", 3)
    assert [row["key"] for row in payonce_json("runs", *options)] == keys


def test_a_cut_list_says_so(shop: Shop) -> None:
    """Where the limit has cut the list, stderr tells how to see more."""
    shop.deliver("order", 1)
    shop.deliver("order", 2)
    assert "--limit shows more" in payonce("runs", "--limit", "1").stderr
    assert payonce("runs").stderr == ""


def test_keys_and_reasons_are_whole_in_a_pipe(shop: Shop) -> None:
    """A long key stands on one line, whatever the terminal's width would be."""
    shop.deliver("course", 10**80, "acme")
    assert f"course:{10**80}" in payonce("runs").stdout


def test_nothing_there_is_said(shop: Shop) -> None:
    """An empty list is a sentence for people and an empty list for programs."""
    shop.deliver("order", 1)
    assert payonce("runs", "--state", "parked").stdout == "No such run.\n"
    assert payonce("parked").stdout == "No run is parked.\n"
    assert payonce_json("parked") == []


def test_show_adds_up_the_money(shop: Shop) -> None:
    """The totals have the paid calls, the known money, unknown prices, doubts and waste."""
    shop.deliver("course", 1, "acme")
    shop.deliver("order", 3)
    course, order = payonce_json("show", "course:1"), payonce_json("show", "order:3")
    assert course["arguments"] == {"course_id": 1, "tenant": "acme"}
    assert course["totals"] == {
        "paid_calls": 3,
        "money": {"USD": "0.06"},
        "unknown_price": 0,
        "in_doubt": 0,
        "rejected": 0,
        "waste": {},
    }
    assert [call["cost"] for call in order["calls"]] == ["unknown"]
    assert order["totals"]["unknown_price"] == 1
    assert order["result"] == '"charge 3"'


def test_show_prints_answers_and_errors_when_asked(shop: Shop) -> None:
    """`--answers` has the recorded texts, `--error` the traceback; neither is there unasked."""
    shop.deliver("course", 1, "acme")
    plain = payonce("show", "course:1").stdout
    asked = payonce("show", "course:1", "--answers", "--error").stdout
    assert "answer 2" not in plain
    assert "Traceback" not in plain
    assert "answer 2" in asked
    assert "Traceback" in asked
    document = payonce_json("show", "course:1", "--answers", "--error")
    assert document["calls"][2]["answer"] == '"answer 2"'
    assert "OperationalError" in document["attempts"][0]["error"]


def test_show_tells_a_killed_attempt_and_the_call_in_doubt(shop: Shop) -> None:
    """After a kill inside a step, the call is in doubt, and the advice is to resolve it."""
    shop.die("order", 3)
    shop.deliver("order", 3)
    document = payonce_json("show", "order:3")
    assert [attempt["outcome"] for attempt in document["attempts"]] == ["lost", "parked"]
    assert [call["state"] for call in document["calls"]] == ["in_doubt"]
    assert "payonce resolve 1 --happened" in document["next"][0]


def test_a_key_of_two_jobs_has_to_be_told_apart(shop: Shop) -> None:
    """A key that two jobs have is an error that names them; `--job` decides."""
    shop.deliver("course", 1, "acme")
    shop.deliver("review", 1)
    result = payonce("show", "course:1")
    assert result.exit_code == 1
    assert "--job: shop.course, shop.review" in result.stderr
    assert payonce_json("show", "course:1", "--job", "shop.review")["state"] == "done"


def test_an_unknown_key_names_its_neighbours(shop: Shop) -> None:
    """A key that isn't there is an error with those that look like it."""
    shop.deliver("order", 3)
    result = payonce("show", "ordr:3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: no run has the key 'ordr:3' (paid: no).\nDid you mean: order:3?\n"
    )


def test_parked_runs_stand_under_their_cause(shop: Shop) -> None:
    """Runs that failed for one reason share a header; the most frequent cause comes first."""
    shop.die("order", 3)
    shop.deliver("order", 3)
    shop.deliver("course", 1, "acme")
    shop.deliver("course", 2, "acme")
    lines = payonce("parked").stdout.splitlines()
    headers = [line for line in lines if " · " in line]
    assert headers[0].startswith("2 runs · 1 tenant · deterministic · ")
    assert "waits for: schema, code" in headers[0]
    assert headers[1].startswith("1 run · deterministic · InDoubt · since ")
    assert headers[1].endswith(" · waits for: a person")
    fingerprints = [row["fingerprint"] for row in payonce_json("parked")]
    assert len(set(fingerprints)) == 2


def test_parked_runs_are_grouped_by_their_cause(shop: Shop) -> None:
    """One line says how many there are, how many tenants, how many were held, and since when."""
    for n in range(30):
        shop.deliver("course", n, f"tenant-{n % 7}")
    output = payonce("parked").stdout
    assert output.startswith("30 runs · 27 held at the door · 7 tenants · deterministic · SQLITE_")
    assert "waits for: schema, code" in output
    assert "and 10 more: payonce parked --json" in output
    rows = payonce_json("parked")
    assert sum(row["held"] for row in rows) == 27
    assert {row["attempts"] for row in rows if row["held"]} == {0}


def test_parked_looks_at_the_world_of_an_app(shop: Shop) -> None:
    """`--app` says whether what is waited for is still missing, and when it is there."""
    shop.deliver("course", 1, "acme")
    told = payonce("parked", "--app", "shop").stdout
    assert "checked just now" in told
    assert payonce_json("parked")[0]["checked"] is None
    assert payonce_json("parked", "--app", "shop:app")[0]["world_moved"] is False
    shop.migrate()
    assert (
        "the world has changed, checked just now: payonce wake"
        in payonce("parked", "--app", "shop").stdout
    )
    assert payonce_json("parked", "--app", "shop:app")[0]["world_moved"] is True
