"""`wake`: runs go on under their own key, and pay nothing again."""

from __future__ import annotations

import pytest
from tests.cli.shopping import Shop, payonce, payonce_json

from payonce.errors import RunNotFound
from payonce.waking import wake


def test_parked_runs_are_done_after_the_migration(shop: Shop) -> None:
    """Given two parked runs and the missing column, when woken, they are done and pay nothing."""
    shop.deliver("course", 1, "acme")
    shop.deliver("course", 2, "acme")
    shop.migrate()
    result = payonce("wake", "shop:app")
    assert result.exit_code == 0, result.output
    rows = payonce_json("runs", "--job", "shop.course")
    assert {(row["state"], row["paid_calls"]) for row in rows} == {("done", 3)}
    assert shop.execute("SELECT id, outline FROM courses ORDER BY id") == [
        (1, "answer 0"),
        (2, "answer 0"),
    ]


def test_what_a_job_prints_is_not_in_the_output(shop: Shop) -> None:
    """Jobs print to stderr, so that JSON stays JSON."""
    shop.deliver("course", 1, "acme")
    shop.migrate()
    assert payonce_json("wake", "shop") == [
        {
            "key": "course:1",
            "job": "shop.course",
            "outcome": "done",
            "reason": None,
            "after": None,
            "paid_calls": 0,
        }
    ]


def test_a_run_in_the_same_world_is_left_alone(shop: Shop) -> None:
    """Without a change nothing is called, nothing is wrong, and stderr says how to insist."""
    shop.deliver("course", 1, "acme")
    result = payonce("wake", "shop:app")
    assert (result.exit_code, result.stdout) == (0, "There was nothing to wake.\n")
    assert "1 parked run still waits for the world to change" in result.stderr
    assert len(payonce_json("show", "course:1")["attempts"]) == 1


def test_a_dry_run_says_so_too(shop: Shop) -> None:
    """What would be left alone, and how to insist."""
    shop.deliver("course", 1, "acme")
    result = payonce("wake", "shop:app", "--dry-run")
    assert result.stdout == "There is nothing to wake.\n"
    assert "1 parked run still waits for the world to change" in result.stderr


def test_a_run_that_is_done_is_told_as_done(shop: Shop) -> None:
    """Given its key, when somebody was quicker."""
    shop.migrate()
    shop.deliver("course", 1, "acme")
    result = payonce("wake", "shop:app", "course:1")
    assert (result.exit_code, result.stderr) == (0, "course:1: done already\n")


def test_force_calls_it_all_the_same(shop: Shop) -> None:
    """`--force` makes one more attempt, which pays nothing and parks again: code 3."""
    shop.deliver("course", 1, "acme")
    result = payonce("wake", "shop:app", "course:1", "--force")
    assert result.exit_code == 3
    assert "parked again" in result.stdout
    document = payonce_json("show", "course:1")
    assert (len(document["attempts"]), document["totals"]["paid_calls"]) == (2, 3)
    assert document["deliveries"][-1]["queue"] == "wake"


def test_a_new_version_of_the_code_wakes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy is a change of the world too."""
    monkeypatch.setenv("BREAK", "1")
    shop.deliver("sketch", 1)
    shop.forget()
    monkeypatch.delenv("BREAK")
    monkeypatch.setenv("SHOP_VERSION", "2")
    [row] = payonce_json("wake", "shop:app", "--dry-run")
    assert (row["key"], row["state"]) == ("sketch:1", "parked")


def test_dry_run_calls_nothing(shop: Shop) -> None:
    """`--dry-run` lists what would be called."""
    shop.deliver("course", 1, "acme")
    shop.migrate()
    result = payonce("wake", "shop:app", "--dry-run")
    assert "course:1" in result.stdout
    assert payonce_json("runs")[0]["state"] == "parked"


def test_what_a_dead_worker_left_is_called_with_all(shop: Shop) -> None:
    """A run whose worker died is left to its queue, unless `--all` or its key is given."""
    shop.die("order", 3)
    assert payonce_json("wake", "shop:app") == []
    assert [row["key"] for row in payonce_json("wake", "shop:app", "--dry-run", "--all")] == [
        "order:3"
    ]
    [row] = payonce_json("wake", "shop:app", "order:3")
    assert row["outcome"] == "parked"
    assert "in doubt" in row["reason"]


def test_arguments_that_no_longer_fit_are_told(shop: Shop) -> None:
    """Given a job that now takes one argument more, the run is refused, not lost: code 3."""
    shop.deliver("course", 1, "acme")
    shop.forget()
    source = shop.folder / "shop.py"
    text = source.read_text().replace("tenant: str)", "tenant: str, language: str)")
    source.write_text(text)
    result = payonce("wake", "shop:app", "--force")
    assert result.exit_code == 3
    assert "refused" in result.stdout
    assert "takes language, which the journal has not kept" in result.stdout


def test_runs_of_other_apps_are_counted(shop: Shop) -> None:
    """A run whose job the app doesn't have is left alone, and named."""
    shop.deliver("course", 1, "acme")
    (shop.folder / "other_shop.py").write_text(
        "from payonce import Payonce\napp = Payonce('sqlite:///payonce.db')\n"
    )
    result = payonce("wake", "other_shop")
    assert result.exit_code == 0
    assert "1 run of jobs that this app doesn't have: shop.course" in result.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nosuch_module:app", "there is no module 'nosuch_module'"),
        ("shop:nosuch", "did you mean: shop:app?"),
        ("shop:course", "it is a function"),
        ("json", "json has no Payonce app"),
        ("shop.py", "there is no module 'shop.py'"),
        ("shop/jobs:app", "is no module's name"),
        ("MODULE:APP", "stands for the place of your app"),
        ("two", "two has 2 apps (paid: no)."),
        ("broken", "broken can't be imported: ZeroDivisionError"),
    ],
)
def test_a_target_that_is_no_app_is_an_error(shop: Shop, target: str, said: str) -> None:
    """What can't be imported, or is no app, is told without a traceback."""
    (shop.folder / "broken.py").write_text("1 / 0\n")
    (shop.folder / "two.py").write_text(
        "from payonce import Payonce\na, b = Payonce(), Payonce()\n"
    )
    result = payonce("wake", target)
    assert result.exit_code == 1
    assert said.lower() in result.stderr.lower()


def test_a_store_that_the_app_does_not_take_is_an_error(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--store` can't move an app whose code names its store."""
    monkeypatch.setenv("PAYONCE_STORE", "")
    result = payonce("wake", "shop:app", "--store", "sqlite:///elsewhere.db")
    assert result.exit_code == 1
    assert "keeps its journal in sqlite:///payonce.db" in result.stderr
    assert not (shop.folder / "elsewhere.db").exists()


def test_an_unknown_job_is_an_error(shop: Shop) -> None:
    """A job that the app doesn't have is told with those that it has."""
    shop.deliver("order", 1)
    result = payonce("wake", "shop:app", "--job", "shop.nosuch")
    assert result.exit_code == 1
    assert "shop.course" in result.stderr


def test_waking_from_python(shop: Shop) -> None:
    """The command's function is public: it yields each run as it was called again."""
    shop.deliver("course", 1, "acme")
    shop.deliver("course", 2, "acme")
    shop.migrate()
    [woken] = wake(shop.jobs.app, ["course:1"])
    assert (woken.run.key, woken.outcome, woken.paid) == ("course:1", "done", 0)
    with pytest.raises(RunNotFound, match="'course:9'"):
        next(wake(shop.jobs.app, ["course:9"]))


def test_many_are_called_at_the_same_time(shop: Shop) -> None:
    """`--workers` calls so many at once; each is done once, and told in the order of the runs."""
    for n in range(1, 7):
        shop.deliver("course", n, "acme")
    shop.migrate()
    rows = payonce_json("wake", "shop:app", "--workers", "3")
    assert [(row["key"], row["outcome"]) for row in rows] == [
        (f"course:{n}", "done") for n in range(1, 7)
    ]
    paid = {row["key"]: row["paid_calls"] for row in rows}
    assert [paid[f"course:{n}"] for n in range(1, 7)] == [0, 0, 0, 3, 3, 3]
    assert len(shop.execute("SELECT id FROM courses")) == 6


def test_one_cause_can_be_called(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--cause` takes the beginning of a fingerprint; one that nobody is parked for is refused."""
    monkeypatch.setenv("BREAK", "1")
    shop.deliver("course", 1, "acme")
    shop.deliver("sketch", 1)
    cause = {row["job"]: row["fingerprint"] for row in payonce_json("parked")}
    shop.migrate()
    rows = payonce_json("wake", "shop:app", "--cause", cause["shop.course"][:8])
    assert [row["key"] for row in rows] == ["course:1"]
    result = payonce("wake", "shop:app", "--cause", "nothing")
    assert result.exit_code == 1
    assert f"The causes are: {cause['shop.sketch']}." in result.stderr
