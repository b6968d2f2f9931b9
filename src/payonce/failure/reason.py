"""Decision, inside `failure`: one plain sentence for people, naming what is missing."""

from __future__ import annotations

import re

from payonce.chain import Link
from payonce.failure.finding import Finding
from payonce.failure.providers import message_of
from payonce.redact import redact

LONGEST = 240

_NAME = r"[`\"'\[]?(?P<{0}>[\w$.]+?)[`\"'\]]?"
_TABLE, _COLUMN = _NAME.format("table"), _NAME.format("column")
_PATTERNS = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (rf"column {_COLUMN} of (?:relation|table) {_TABLE} does not exist", "missing"),
        (rf"table {_TABLE} has no column named {_COLUMN}$", "missing"),
        (rf"(?:no such column: |Unknown column |^column ){_COLUMN}(?: does not exist| in |$)",
         "missing"),
        (rf"(?:no such table: |^relation |^Table ){_TABLE}(?: does(?: not|n't) exist|$)", "table"),
        (rf"null value in column {_COLUMN} of relation {_TABLE} violates", "null"),
        (rf"NOT NULL constraint failed: {_COLUMN}$", "null"),
        (rf"^Column {_COLUMN} cannot be null", "null"),
        (rf"Field {_COLUMN} doesn't have a default value", "no default"),
    )
)  # fmt: skip
_SENTENCES = {
    "missing": "{column} does not exist",
    "null": "{column} must not be null",
    "no default": "{column} needs a value",
    "table": 'table "{table}" does not exist',
}
_NUMBERED = re.compile(r"\(\d+, ([\"'])(?P<text>.*)\1\)", re.DOTALL)


def reason_of(link: Link, finding: Finding) -> str:
    """A sentence for the failure that this finding decided; secrets are masked."""
    text = finding.says or _schema_sentence(link) or message_of(link) or link.message
    first = next((line for line in text.splitlines() if line.strip()), "").strip()
    if not first:
        first = link.names[0].removeprefix("builtins.")
    first = redact(first[: 4 * LONGEST])
    return first if len(first) <= LONGEST else f"{first[: LONGEST - 1]}…"


def _schema_sentence(link: Link) -> str | None:
    numbered = _NUMBERED.fullmatch(link.message)
    text = numbered["text"] if numbered else link.message
    first = text.partition("\n")[0]
    for pattern, sentence in _PATTERNS:
        match = pattern.search(first)
        if match is not None:
            parts = match.groupdict()
            table = parts.get("table") or link.text("diag.table_name", "table_name")
            column = _column(parts.get("column") or "", table)
            return _SENTENCES[sentence].format(column=column, table=table)
    return None


def _column(name: str, table: str | None) -> str:
    qualifier, _, column = name.rpartition(".")
    table = table or qualifier
    return f'column "{column}" of table "{table}"' if table else f'column "{column}"'
