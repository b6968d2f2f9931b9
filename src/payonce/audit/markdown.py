"""Reading, for `audit`: the findings as Markdown, to be pasted into a post-mortem or an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator

from payonce.audit.findings import Findings, Storm
from payonce.audit.view import concentration_line, cost_text, headline, storm_line
from payonce.audit.wording import clock, counted, legible, span

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")


def findings_markdown(found: Findings) -> str:
    """All findings, the answer first; whatever is in a file is written as text."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Findings) -> Iterator[str]:
    yield f"**{_text(headline(found))}**"
    for storm in found.storms:
        yield from _storm(storm)
    if found.concentrations:
        yield "\n## Concentration\n"
        yield from (f"- {_text(concentration_line(each))}" for each in found.concentrations)
    if found.repeated:
        yield "\n## Identical prompts\n"
        yield "| prompt | task | times | first | last | wasted |"
        yield "|---|---|--:|---|---|---|"
        for each in found.repeated:
            cells = (each.print, each.task or "", f"{each.count:,}", clock(each.first))
            yield _row(*cells, clock(each.last), cost_text(each.wasted_cost))
    if found.resent:
        yield "\n## Retries hidden in an SDK\n"
        yield from (f"- {_text(legible(e.path) or '')}: {_text(e.evidence)}" for e in found.resent)
    yield "\n## Read\n"
    yield "| file | what it is | rows | not used |"
    yield "|---|---|--:|---|"
    for source in found.sources:
        why = [f"{counted(n, 'row')}: {reason}" for reason, (n, _) in source.skipped.items()]
        rest = "; ".join([*([source.trouble] if source.trouble else []), *why, *source.notes])
        yield _row(legible(source.name) or "", source.kinds, f"{source.rows:,}", rest)


def _storm(storm: Storm) -> Iterator[str]:
    yield f"\n## Storm: {_text(storm.name)}\n"
    yield f"{_text(storm_line(storm))}\n"
    yield f"- {span(storm.first, storm.last)}"
    yield from (f"- {_text(line)}" for line in storm.evidence)
    if storm.blame is not None:
        yield f"- error: {_text(storm.blame.text)}"
    if storm.calls:
        yield f"- cost: {_text(cost_text(storm.cost))}"
    if storm.tenant:
        yield f"- tenant: {_text(storm.tenant)}"
    if storm.revisions:
        yield f"- revision: {_text(', '.join(storm.revisions))}"
    yield from (f"- not known: {_text(line)}" for line in storm.unknown)


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)
