"""What a PostgreSQL store's URL says, and what is never repeated of it."""

from __future__ import annotations

import psycopg
import pytest

from payonce.errors import ConfigError
from payonce.journal import journal_at
from payonce.journal.postgres_url import parsed


@pytest.mark.parametrize(
    ("store", "conninfo", "schema", "place"),
    [
        (
            "postgresql+psycopg://me:hush@db.example:5433/app?schema=pay&sslmode=require",
            "postgresql://me:hush@db.example:5433/app?sslmode=require",
            "pay",
            "postgresql://me:***@db.example:5433/app?schema=pay&sslmode=require",
        ),
        ("postgres:///app", "postgresql:///app", None, "postgresql:///app"),
        (
            "postgresql://h/d?password=hush&prepare=off",
            "postgresql://h/d?password=hush",
            None,
            "postgresql://h/d?prepare=off",
        ),
    ],
)
def test_a_url_is_taken_apart(store: str, conninfo: str, schema: str | None, place: str) -> None:
    """payonce's own parameters are kept from libpq, and secrets from what is shown."""
    url = parsed(store)
    assert (url.conninfo, url.schema, url.place) == (conninfo, schema, place)
    assert url.prepare is ("prepare=off" not in store)


@pytest.mark.parametrize("odd", ["prepare=maybe", "schema=", f"schema={'x' * 64}"])
def test_an_odd_parameter_is_refused(odd: str) -> None:
    """A value that can't be meant is refused before anything is opened."""
    with pytest.raises(ConfigError):
        journal_at(f"postgresql://h/d?{odd}")


def test_a_password_is_not_repeated() -> None:
    """Neither a failure to connect nor the journal's own place shows the password."""
    journal = journal_at("postgresql://postgres:hunter22@127.0.0.1:1/none")
    with pytest.raises(psycopg.OperationalError) as failure:
        journal.find("generate", "course:1")
    assert "hunter22" not in str(failure.value)
    malformed = journal_at("postgresql://me:hunter22@h/d?nonsense=1")
    with pytest.raises(ConfigError) as refusal:
        malformed.find("generate", "course:1")
    assert "hunter22" not in str(refusal.value)


def test_spill_folders_don_t_depend_on_role_or_password() -> None:
    """A password that is changed meanwhile doesn't hide the receipts that wait."""
    one, other = parsed("postgresql://a:b@h/d"), parsed("postgresql://c@h/d")
    assert one.spill == other.spill
    assert parsed("postgresql://a@h/e").spill != one.spill
