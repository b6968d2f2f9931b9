"""Memory: what a PostgreSQL store's URL says, to libpq and to payonce."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from payonce.errors import ConfigError
from payonce.redact import redact

_OWN = ("schema", "prepare", "spill")
_SECRET = ("password", "sslpassword", "passfile")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A store such as `postgresql://user@host/db?schema=payonce`.

    `conninfo` is libpq's part of it (https://www.postgresql.org/docs/current/libpq-connect.html);
    `schema` holds the journal's tables, by default the role's current one; `prepare` is False
    behind a pooler that can't keep prepared statements (`?prepare=off`); `spill` are the folders
    for receipts that the database can't take; `place` names the store without its secrets.
    """

    conninfo: str
    schema: str | None
    prepare: bool
    spill: tuple[Path, ...]
    place: str


def parsed(store: str) -> PostgresUrl:
    """Take a store's URL apart.

    Raises:
        ConfigError: one of payonce's own parameters has a value that it can't have.
    """
    parts = urlsplit(store)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    own = {name: value for name, value in pairs if name in _OWN}
    theirs = [(name, value) for name, value in pairs if name not in _OWN]
    query = urlencode(theirs, quote_via=quote)
    conninfo = _unsplit(parts.netloc, parts.path, query)
    prepare = own.get("prepare", "on")
    if prepare not in ("on", "off"):
        raise ConfigError(f"prepare={prepare} in the store's URL", "Write prepare=on or off.")
    schema = own.get("schema")
    if schema is not None and (not schema or "\0" in schema or len(schema.encode()) > 63):
        raise ConfigError(f"schema={schema!r} in the store's URL", "Name a schema, or none.")
    shown = [(name, value) for name, value in pairs if name not in _SECRET]
    place = redact(_unsplit(parts.netloc, parts.path, urlencode(shown)))
    spill = _spill_folders(parts.netloc.rpartition("@")[2], parts.path, schema, own.get("spill"))
    return PostgresUrl(conninfo, schema, prepare == "on", spill, place)


def _unsplit(host: str, path: str, query: str) -> str:
    return f"postgresql://{host}{path}" + (f"?{query}" if query else "")


def _spill_folders(host: str, path: str, schema: str | None, named: str | None) -> tuple[Path, ...]:
    """The folder that was named, or the user's own for state (XDG); the temporary one at last.

    A role or a password may change between a spill and its merge, so they are no part of the name.
    """
    digest = hashlib.sha256(f"{host}\0{path}\0{schema or ''}".encode()).hexdigest()[:16]
    last = Path(tempfile.gettempdir()) / f"payonce-spill-{digest}"
    chosen = named or os.environ.get("PAYONCE_SPILL")
    if chosen:
        return Path(chosen).absolute() / digest, last
    state = os.environ.get("XDG_STATE_HOME")
    try:
        home = Path(state) if state else Path.home() / ".local" / "state"
    except RuntimeError:  # no home to be found
        return (last,)
    return home / "payonce" / f"spill-{digest}", last
