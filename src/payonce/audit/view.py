"""Reading, for `audit`: the findings for people, the answer first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from payonce.audit.findings import Concentration, Cost, Findings, Storm
from payonce.audit.source import Source
from payonce.audit.wording import TIMELESS, counted, duration, legible, money, percent, span
from payonce.model import Kind

_MOST = 10


def findings_view(found: Findings) -> Iterator[RenderableType]:
    """What was found, what was read, and what can't be known from it."""
    yield Text(headline(found), style="bold red" if found.storms else "bold")
    for storm in found.storms[:_MOST]:
        yield Text("")
        yield from _storm(storm)
    yield from _more(len(found.storms), "storm")
    if found.left_out:
        yield _indented(
            f"{counted(found.left_out, 'more task')} failed as often; the worst 200 are looked at",
            "dim",
        )
    if found.concentrations:
        yield _title("Concentration (much at once; alone, that is no storm)")
        for high in found.concentrations[:_MOST]:
            yield _indented(concentration_line(high))
    if found.repeated:
        yield _title("Identical prompts, paid for again and again")
        for each in found.repeated[:_MOST]:
            yield _indented(
                f"{each.print}  {each.count:,} times, {span(each.first, each.last)}"
                + (f", task {each.task}" if each.task else "")
                + (f", {each.schedule}" if each.schedule else "")
                + f"; wasted: {cost_text(each.wasted_cost)}"
            )
        yield from _more(len(found.repeated), "prompt")
    if found.resent:
        yield _title("Retries hidden in an SDK")
        for resent in found.resent:
            yield _indented(f"{_name(resent.path)}: {resent.evidence}")
    yield _title("Read")
    yield from _sources(found.sources)
    unknown = {each.name: each.cannot_know for source in found.read for each in source.formats}
    if unknown:
        yield _title("What such files don't have")
        for name, what in unknown.items():
            yield _indented(f"{name}: {what}", "dim")


def headline(found: Findings) -> str:
    """The answer in one sentence."""
    if not found.read:
        return "No file could be read."
    if not found.storms:
        read = counted(len(found.read), "file")
        told = f"No retry storm in {read} ({counted(sum(s.rows for s in found.read), 'row')})"
        return f"{told}{''.join(f'; {each}' for each in _lesser(found))}."
    storm = found.storms[0]
    rest = f" And {counted(len(found.storms) - 1, 'more storm')}." if found.storms[1:] else ""
    return storm_line(storm) + rest


def _lesser(found: Findings) -> Iterator[str]:
    """What was paid for nothing without a storm, in a few words each."""
    if found.repeated:
        times = sum(each.count for each in found.repeated)
        prompts = counted(len(found.repeated), "prompt")
        yield f"but {prompts} paid for again and again, {times:,} times in all"
    if found.resent:
        sends = sum(each.sends for each in found.resent)
        yield ("" if found.repeated else "but ") + counted(sends, "hidden retry", "hidden retries")


def storm_line(storm: Storm) -> str:
    """A storm in one sentence."""
    what = {"task": "Task", "url": "Requests to", "prompts": "A batch of"}[storm.key]
    told = f"{what} {storm.name}: {counted(storm.deliveries, 'delivery', 'deliveries')}"
    if storm.key == "prompts":
        told = f"{what} {storm.name}: run {storm.deliveries:,} times"
    if storm.last > storm.first >= TIMELESS:
        told += f" in {duration(storm.last - storm.first)}"
    told += ", each failed" if storm.failed >= storm.deliveries > 0 and storm.blame else ""
    told += f" ({storm.blame.reason})" if storm.blame else ""
    if storm.calls is None:
        return told + "; what it paid for isn't in these files."
    told += f"; {counted(storm.calls, 'call')} paid, {storm.wasted or 0:,} wasted"
    if storm.wasted_cost is None or storm.wasted_cost.nanos is None:
        return told + "; what that cost isn't in these files."
    return told + f": {cost_text(storm.wasted_cost)}."


def cost_text(cost: Cost | None) -> str:
    """An amount; what has no price is counted apart."""
    if cost is None or cost.nanos is None:
        return "an unknown amount"
    more = f" and {counted(cost.unknown, 'call')} of unknown cost" if cost.unknown else ""
    about = "about " if cost.basis else ""
    return about + money(cost.nanos, cost.currency) + more


def concentration_line(each: Concentration) -> str:
    """A concentration in one sentence."""
    whole = f"all {each.periods} {each.unit}s"
    times = f", {each.of_median:,.0f} times the median {each.unit}" if each.of_median else ""
    return (
        f"{each.period} holds {percent(each.share)} of the {each.measure} of {whole}{times} "
        f"({each.what})"
    )


def _storm(storm: Storm) -> Iterator[RenderableType]:
    yield Text(f"Storm: {storm.key} {storm.name}", style="bold")
    lines = [
        span(storm.first, storm.last),
        *storm.evidence,
        *([f"cost: {cost_text(storm.cost)}"] if storm.calls else []),
        *([f"error: {storm.blame.text}"] if storm.blame else []),
        *([f"tenant: {storm.tenant}"] if storm.tenant else []),
        *([f"address: {storm.url}"] if storm.url and storm.key != "url" else []),
        *([f"revision: {', '.join(storm.revisions)}"] if storm.revisions else []),
    ]
    for line in lines:
        yield _indented(line)
    for line in storm.unknown:
        yield _indented(f"not known: {line}", "dim")
    if storm.blame is not None and storm.blame.kind is Kind.DETERMINISTIC and storm.wasted:
        yield _indented("with payonce: one attempt, then parked; the other deliveries pay nothing")


def _sources(sources: list[Source]) -> Iterator[RenderableType]:
    """Each file; of many that are alike some, and how many more there are."""
    alike: dict[str, int] = {}
    for source in sources:
        like = source.kinds if source.used else f"not read: {source.trouble}"
        clean = not source.used or not (source.skipped or source.notes or source.trouble)
        alike[like] = alike.get(like, 0) + clean
        if not clean or alike[like] <= _MOST:
            yield from _source(source)
    for like, count in alike.items():
        if count > _MOST:
            yield _indented(f"… and {counted(count - _MOST, 'more file')}: {like}", "dim")


def _source(source: Source) -> Iterator[RenderableType]:
    if source.trouble is not None and not source.used:
        yield _indented(f"{_name(source.name)}: not read: {source.trouble}", "yellow")
        return
    yield _indented(f"{_name(source.name)}: {source.kinds}, {counted(source.rows, 'row')}")
    for why, (count, first) in source.skipped.items():
        where = f", the first in line {first:,}" if first else ""
        yield _indented(f"  skipped {counted(count, 'row')}: {why}{where}", "yellow")
    for note in [*source.notes, *([source.trouble] if source.trouble else [])]:
        yield _indented(f"  {note}", "yellow")


def _name(path: str) -> str:
    return legible(path, 500) or ""


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _indented(line: str, style: str = "") -> Padding:
    return Padding(Text(line, style=style), (0, 0, 0, 2), expand=False)


def _more(count: int, what: str) -> Iterator[RenderableType]:
    if count > _MOST:
        yield _indented(f"… and {counted(count - _MOST, f'more {what}')}; --json has all", "dim")
