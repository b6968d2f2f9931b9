"""What bad input gets: one clear error, code 1, nothing lost and nothing made."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.shopping import Shop, payonce

COMMANDS = [
    ("runs",),
    ("show", "order:1"),
    ("parked",),
    ("resolve", "1", "--pay-again"),
    ("wake", "shop:app"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_journal_is_an_error_and_none_is_made(shop: Shop, command: tuple[str, ...]) -> None:
    """Where there is no journal, a command says so and what to do, and makes none."""
    result = payonce(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: there is no journal at {shop.journal} (paid: no).\n")
    assert "--store" in result.stderr
    assert not shop.journal.exists()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_journal_of_a_newer_payonce_is_left_untouched(
    shop: Shop, command: tuple[str, ...]
) -> None:
    """A newer journal is refused, and not a byte of it changes."""
    shop.deliver("order", 1)
    shop.execute("INSERT INTO payonce_migrations VALUES (9999, 'later', 0)", "payonce.db")
    before = shop.journal.read_bytes()
    result = payonce(*command)
    assert result.exit_code == 1
    assert "version 9999" in result.stderr
    assert "Upgrade payonce" in result.stderr
    assert shop.journal.read_bytes() == before


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_file_that_is_no_journal_is_left_untouched(shop: Shop, command: tuple[str, ...]) -> None:
    """A text file in the journal's place is refused, and kept as it is."""
    shop.journal.write_text("a letter to a friend\n" * 100)
    result = payonce(*command)
    assert result.exit_code == 1
    assert "can't be used as a journal" in result.stderr
    assert shop.journal.read_text() == "a letter to a friend\n" * 100


@pytest.mark.parametrize("content", ["CREATE TABLE other (id)", None], ids=["other", "empty"])
def test_another_database_is_not_made_a_journal(shop: Shop, content: str | None) -> None:
    """Looking into a database without a journal, or an empty file, changes nothing of it."""
    shop.journal.touch()
    if content is not None:
        shop.execute(content, "payonce.db")
    before = shop.journal.read_bytes()
    result = payonce("runs")
    assert result.exit_code == 1
    assert "is a database without a journal (paid: no)." in result.stderr
    assert "not there yet" in payonce("doctor").stdout
    assert shop.journal.read_bytes() == before


def test_a_journal_that_is_only_in_the_log_is_found(shop: Shop) -> None:
    """A journal whose tables SQLite has not moved out of its log yet is one."""
    shop.die("order", 1)
    assert b"payonce_migrations" not in shop.journal.read_bytes()
    assert payonce("runs").exit_code == 0


def test_a_damaged_journal_is_told(shop: Shop) -> None:
    """What the database driver says of a damaged file is told without a traceback."""
    shop.deliver("order", 1)
    shop.execute("PRAGMA wal_checkpoint(TRUNCATE)", "payonce.db")
    size = shop.journal.stat().st_size
    with shop.journal.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x00" * (size - 4096))
    result = payonce("runs")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "malformed" in result.stderr


def test_another_kind_of_store_is_an_error(tmp_path: Path) -> None:
    """A URL that there is no journal for is told, with one that there is."""
    result = payonce("runs", "--store", "oracle://scott:tiger@db/x")
    assert result.exit_code == 1
    assert "sqlite:///payonce.db" in result.stderr
    assert "tiger" not in result.stderr


def test_the_store_comes_from_the_environment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$PAYONCE_STORE` names the journal where `--store` doesn't."""
    monkeypatch.setenv("PAYONCE_STORE", f"sqlite:///{shop.folder}/named.db")
    assert "named.db" in payonce("runs").stderr
    assert "given.db" in payonce("runs", "--store", "sqlite:///given.db").stderr
