"""Writes `docs/sdks.md` from the rows: `python -m tests.capture.sdks.page`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.capture.sdks.rows import ROWS, Row

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sdks.md"

HEAD = """\
# SDKs

Each way to call that is named here is a test: a small program runs with the real SDK in two processes with
one run key, against a provider that counts what it bills. The first process pays and then fails; the second
is billed nothing, sends nothing, and prints the same. This page is written from the table of those tests
(`tests/capture/sdks/rows.py`, run by `make capture`); a test holds the two together.

A version is one of those that were tried. The place where a call is seen is httpx's and httpx2's client, aiohttp's
session, botocore's session or urllib3's pool (2.0 or newer), whichever of them comes first: a call that passes
several is one call in the journal. Other versions work as long as they have these places; one that hasn't is told
of in the log, once, and refused by `app.capture(strict=True)`.

"""

RETRIES = """
## Hidden retries

What the provider bills for one logical call that falls in doubt, because its answer comes too late for the client, or
because its connection is dropped after it was billed. *alone* is the SDK by itself, with its own default settings
unless the call says otherwise (`retrying`: litellm's `num_retries=2`, google-genai's `retry_options` with three
attempts); *captured* is one delivery under payonce. Each number is measured by a test.

A 429 or 503, for which nothing is billed, is left to the SDK: where the last column but one says so it tries
again as ever. A quota that is used up is asked for once in an attempt, by whomever.

"""

FOOT = """
## What can't be seen

- Calls over WebSockets: `openai.responses.connect()`, the Realtime API, `use_responses_websocket` of openai-agents.
- Calls in other processes than the one that runs the job, and calls of clients that use none of the libraries above
  (gRPC: Google's older clients, for one).
- requests and other clients over urllib3 1.x; boto3 is captured there, too.
- An answer over aiohttp is kept as aiohttp gives it out: unpacked, where it came compressed.
- A PUT over aiohttp on a connection that was used before: aiohttp itself sends it again, once, after a disconnect.

Where a call isn't seen, put it in an `@app.step`.
"""


def page() -> str:
    """The page as it should be."""
    return "".join([HEAD, *_table(_captured()), RETRIES, *_table(_retries()), FOOT])


def _table(lines: Iterable[Sequence[str]]) -> list[str]:
    head, *rest = lines
    rule = ["---"] * len(head)
    return [f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rest)]


def _captured() -> list[list[str]]:
    named: dict[tuple[str, str, str], list[Row]] = {}
    for row in ROWS:
        named.setdefault((row.package, row.version, row.over), []).append(row)
    head = ["SDK", "version", "over", "sync", "async", "streamed"]
    return [head, *([*name, *_cells(rows)] for name, rows in sorted(named.items()))]


def _cells(rows: list[Row]) -> list[str]:
    whole = [row for row in rows if not row.streams]
    streamed = [_named(row) for row in rows if row.streams]
    return [
        _listed(row.call for row in whole if not row.awaits),
        _listed(row.call for row in whole if row.awaits),
        _listed(streamed),
    ]


def _retries() -> list[list[str]]:
    head = ["SDK", "over", "call", "timeout: alone", "captured", "dropped: alone", "captured"]
    lines = [[*head, "tries 429 and 503 again", "used-up quota"]]
    for row in sorted(ROWS, key=lambda row: (row.package, row.version, row.over, row.program)):
        if row.retries is not None:
            alone = row.retries
            told = [f"{row.package} {row.version}", row.over, _named(row)]
            counts = [str(alone.timeout), "1", str(alone.drop), "1"]
            lines.append([*told, *counts, "yes" if alone.again else "no", "once"])
    return lines


def _named(row: Row) -> str:
    return f"async {row.call}" if row.awaits else row.call


def _listed(calls: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(calls)) or "–"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
