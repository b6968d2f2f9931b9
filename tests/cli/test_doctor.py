"""`doctor`: what is installed, what the journal is like, what is wrong."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.cli.shopping import Shop, payonce, payonce_json

from payonce.report.health import Health, JournalHealth, layers
from payonce.report.retries import QUEUES, SDKS


def test_it_describes_the_journal(shop: Shop) -> None:
    """The journal's place, schema, size and runs by state are there."""
    shop.deliver("order", 1)
    shop.deliver("course", 1, "acme")
    document = payonce_json("doctor")
    journal = document["journal"]
    assert document["python"] == platform.python_version()
    assert journal["place"] == str(shop.journal)
    assert journal["states"] == {"done": 1, "parked": 1}
    assert journal["bytes"] >= 4096
    assert journal["schema"] >= 1
    assert document["problems"] == []
    assert "1 done, 1 parked" in payonce("doctor").stdout


def test_it_finds_sdks_with_what_is_captured_and_sent(shop: Shop) -> None:
    """An installed SDK is told with its version, whether it is captured, and its sends."""
    found = {sdk["name"]: sdk for sdk in payonce_json("doctor")["sdks"]}
    openai = found["openai"]
    assert openai["version"] == version("openai")
    assert (openai["captured"], openai["sends"]) == ("yes", 3)


def test_it_finds_opentelemetry(shop: Shop) -> None:
    """The versions of OpenTelemetry's API and SDK are told, for without an SDK nothing is seen."""
    found = payonce_json("doctor")["opentelemetry"]
    assert found == {part: version(f"opentelemetry-{part}") for part in ("api", "sdk")}
    assert f"SDK {found['sdk']}" in payonce("doctor").stdout


def test_no_journal_yet_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first delivery there is nothing to mend, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    result = payonce("doctor")
    assert result.exit_code == 0
    assert "not there yet" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_read_is_a_problem(shop: Shop) -> None:
    """What keeps the journal from being used is told on a line of its own: code 1."""
    shop.journal.write_text("a letter to a friend\n")
    result = payonce("doctor")
    assert result.exit_code == 1
    assert "Problem: " in result.stdout
    assert "can't be used as a journal" in result.stdout
    assert payonce("doctor", "--store", "oracle://x/y").exit_code == 1


def test_spill_files_are_counted(shop: Shop) -> None:
    """Receipts that wait to be merged are told."""
    shop.deliver("order", 1)
    folder = shop.folder / "payonce.db.spill"
    folder.mkdir()
    (folder / "1-a.json").write_text("{}")
    assert "1 receipt waits to be merged" in payonce("doctor").stdout


def test_layers_multiply() -> None:
    """Given a queue of 21 deliveries and an SDK of 3 sends, 63 are told: once for all such."""
    openai = next(sdk for sdk in SDKS if sdk.name == "openai")
    httpx = next(sdk for sdk in SDKS if sdk.name == "httpx")
    cohere = next(sdk for sdk in SDKS if sdk.name == "cohere")
    queues = [(q, "1") for q in QUEUES if q.name in ("dramatiq", "huey", "rq", "temporalio")]
    sdks = [(openai, "1"), (httpx, "1"), (cohere, "1")]
    health = Health("3", "3", "0", JournalHealth("-"), sdks, queues)
    assert layers(health)[:-1] == [
        "dramatiq × openai or cohere: 21 deliveries × 3 sends = up to 63 sends of one call.",
        "huey or rq × openai or cohere: 1 delivery × 3 sends = up to 3 sends of one call.",
        "temporalio × openai or cohere: no limit, 3 sends for each delivery.",
    ]
