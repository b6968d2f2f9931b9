"""`budget`: what is used of each limit, and a person's word on it, which running processes hear."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shopping import APPS, payonce, payonce_json

from payonce.errors import NotDone

WORKER = """
import sys
import budgeted
from payonce import Parked

for line in sys.stdin:
    n, tenant, many = line.split()
    try:
        print(budgeted.order(int(n), tenant, int(many)), flush=True)
    except Parked:
        print("parked", flush=True)
"""


@pytest.fixture
def bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an app whose steps write each payment into this file."""
    shutil.copy(APPS / "budgeted.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("SENT", str(tmp_path / "bill"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "bill").touch()
    yield tmp_path / "bill"
    _forget()


def _forget() -> None:
    if "budgeted" in sys.modules:
        sys.modules["budgeted"].app.close()
        del sys.modules["budgeted"]


def _deliver(job: str, *arguments: Any) -> None:
    import budgeted  # type: ignore[import-not-found]

    with suppress(NotDone):
        getattr(budgeted, job)(*arguments)
    _forget()


def _paid(bill: Path) -> int:
    return len(bill.read_text().splitlines())


def _command(run: str) -> list[str]:
    """The command that the parked run's own reason names."""
    reason: str = payonce_json("show", run, "--job", "budgeted.order")["reason"]
    told = reason.partition("set a higher limit: payonce ")[2].removesuffix(".")
    return shlex.split(told.replace("'N USD'", "'9 USD'"))


def test_each_budget_is_listed_with_what_is_used_of_it(bill: Path) -> None:
    """Those that calls were held against, with the limit, what is paid and what is left."""
    _deliver("order", 1, "acme", 3)
    rows = {(row["scope"], row["name"]): row for row in payonce_json("budget")}
    acme = rows["tenant", "acme"]
    assert (acme["limit"], acme["paid"], acme["left"], acme["per"]) == (
        *("2.00", "2.00", "0.00"),
        "day",
    )
    assert (acme["source"], acme["set_at"], acme["until"] is None) == ("code", None, False)
    assert rows["run", "budgeted.order order:1"]["left"] == "3.00"
    assert "tenant acme" in (told := payonce("budget").stdout)
    assert "██████████ 100 %" in told


def test_what_the_code_says_is_listed_before_it_is_used(bill: Path) -> None:
    """With `--app`, what each tenant and each run may spend."""
    _deliver("other", 1)
    assert payonce("budget").stdout.startswith("No budget is known.")
    told = payonce("budget", "--app", "budgeted").stdout
    assert ("each tenant" in told, "each run of budgeted.order" in told) == (True, True)


def test_the_commands_that_errors_name_are_what_works(bill: Path) -> None:
    """For a tenant's limit and for that of a run: each lets the run go on to the next one."""
    _deliver("order", 4, "acme", 7)
    assert _paid(bill) == 2
    assert _command("order:4") == ["budget", "set", "9 USD", "--tenant", "acme", "--per", "day"]
    result = payonce(*_command("order:4"))
    assert result.stdout.splitlines()[0] == (
        "tenant acme may spend 9.00 USD per day (before: 2.00 USD, by the code)."
    )
    assert "1 parked run may go on (order:4)" in result.stdout
    assert payonce("wake", "budgeted").exit_code == 3
    assert _paid(bill) == 5
    assert _command("order:4")[3:] == ["--run", "budgeted.order order:4"]
    assert payonce(*_command("order:4")).exit_code == 0
    _forget()
    [row] = payonce_json("wake", "budgeted")
    assert (row["outcome"], row["paid_calls"], _paid(bill)) == ("done", 2, 7)


def test_a_limit_is_heard_by_processes_at_work(bill: Path) -> None:
    """Set, lifted and cleared by another process, at the next call of the one that works."""
    command = [sys.executable, "-c", WORKER]
    environment = os.environ | {"PYTHONPATH": str(bill.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    tenant = ("--tenant", "acme", "--per", "day")
    with subprocess.Popen(command, text=True, env=environment, **pipes) as worker:
        assert _order(worker, 1, 1) == "0"
        assert _order(worker, 2, 2) == "parked"
        _say("set", "3 USD", *tenant)
        assert (_order(worker, 2, 2), _order(worker, 3, 1)) == ("1", "parked")
        _say("lift", *tenant)
        assert (_order(worker, 3, 1), _order(worker, 4, 2)) == ("0", "1")
        _say("clear", *tenant)
        assert _order(worker, 5, 1) == "parked"
        _say("set", "0 USD")
        _say("lift", *tenant)
        assert _order(worker, 5, 1) == "parked"
        _say("clear")
        assert _order(worker, 5, 1) == "0"
    assert (worker.returncode, _paid(bill)) == (0, 7)


def _order(worker: subprocess.Popen[str], n: int, many: int) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{n} acme {many}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def _say(*words: str) -> None:
    command = [sys.executable, "-m", "payonce", "budget", *words]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def test_each_run_of_a_job_is_given_more(bill: Path) -> None:
    """One word for all runs of a job; one of its runs by name goes over it."""
    _deliver("order", 1, "acme", 1)
    payonce("budget", "lift", "--tenant", "*", "--per", "day")
    for n in (2, 3):
        _deliver("order", n, "acme", 6)
    told = payonce_json("budget", "set", "6 USD", "--each-run-of", "budgeted.order")
    assert {run["key"] for run in told["runs"]} == {"order:2", "order:3"}
    assert payonce("budget", "set", "5 USD", "--run", "order:3").exit_code == 0
    rows = {row["key"]: row["outcome"] for row in payonce_json("wake", "budgeted")}
    assert rows == {"order:2": "done", "order:3": "parked"}


def test_too_little_more_is_said(bill: Path) -> None:
    """A limit that is used up lets nobody go on, and the answer says so."""
    _deliver("order", 1, "acme", 3)
    told = payonce("budget", "set", "1 USD", "--tenant", "acme", "--per", "day").stdout
    assert "Nothing is left of it: 1 parked run will park again (order:1)." in told
    told = payonce("budget", "set", "9 USD", "--tenant", "other", "--per", "day").stdout
    assert "No parked run waits for it." in told


def test_runs_that_one_limit_has_parked_are_one_cause(bill: Path) -> None:
    """Of many tenants and jobs; `parked` says what lets them go on."""
    for n, tenant in enumerate(("acme", "zen", "big")):
        _deliver("order", n, tenant, 3)
    told = payonce("parked").stdout
    assert told.count("cause ") == 1
    assert "3 runs · 3 tenants" in told
    assert "more is allowed for each tenant per day, or when the day is over: " in told
    assert "payonce budget set 'N USD' --tenant '*' --per day" in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "5"), 2, 'reads like "0.02 USD"'),
        (("set", "$5"), 2, 'reads like "0.02 USD"'),
        (("set", "-5 USD"), 2, "a limit can't be less than nothing; to stop all spending: '0 USD'"),
        (("set", "--", "-5 USD"), 2, 'reads like "0.02 USD"'),
        (("set", "5 USD", "--tenent", "a"), 2, "No such option '--tenent'"),
        (("set",), 2, "Missing argument 'AMOUNT'"),
        (("set", "5 USD", "--tenant", "a", "--job", "b"), 2, "Name one"),
        (("set", "5 USD", "--per", "week"), 2, "week"),
        (("--store", "sqlite:///other.db", "set", "5 USD"), 2, "Write --store after set"),
        (("set", "5 USD", "--run", "order:9"), 1, "Did you mean: order:1"),
        (("set", "5 USD", "--run", "nojob order:1"), 1, "no run has the key"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    bill: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    """A wrong amount or period, two names at once, a run that isn't there; nothing is set."""
    _deliver("order", 1, "acme", 1)
    result = payonce("budget", *words)
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert {row["source"] for row in payonce_json("budget")} == {"code"}


def test_an_amount_needs_no_quotes(bill: Path) -> None:
    """Its two words are one amount."""
    _deliver("other", 1)
    assert payonce("budget", "set", "5", "USD", "--tenant", "acme").exit_code == 0
    [row] = payonce_json("budget", "list")
    assert (row["name"], row["limit"], row["source"]) == ("acme", "5.00", "person")


def test_what_was_cleared_is_not_taken_for_the_code(bill: Path) -> None:
    """The code's limit is not known until it is read, or a call is held for it; runs may go on."""
    _deliver("other", 1)
    tenant = ("--tenant", "acme", "--per", "month")
    payonce("budget", "set", "1 USD", *tenant)
    _deliver("order", 1, "acme", 2)
    told = payonce("budget", "clear", *tenant).stdout
    assert "(before: 1.00 USD, by hand)" in told
    assert "1 parked run may go on (order:1)" in told
    rows = {(row["scope"], row["per"]): row for row in payonce_json("budget")}
    month = rows["tenant", "month"]
    assert (month["source"], month["limit"], month["left"]) == ("code", None, None)
    assert "see --app" in payonce("budget").stdout
    told = payonce("budget", "clear", *tenant).stdout
    assert told == "There is nothing to clear: nobody has set or lifted it.\n"


def test_a_run_key_that_two_jobs_have_needs_the_job(bill: Path) -> None:
    """As with `payonce show`."""
    _deliver("order", 1, "acme", 1)
    _deliver("other", 1)
    assert payonce("budget", "set", "1 USD", "--run", "order:1").exit_code == 1
    told = payonce_json("budget", "set", "1 USD", "--run", "order:1", "--job", "budgeted.other")
    assert (told["budget"]["name"], told["budget"]["paid"]) == ("budgeted.other order:1", "1.00")
