"""Reading, for `audit`: the findings for programs, as values that JSON knows."""

from __future__ import annotations

from typing import Any

from payonce.audit.findings import Cost, Findings, Storm
from payonce.audit.source import Source
from payonce.audit.wording import amount, legible, moment


def findings_document(found: Findings) -> dict[str, Any]:
    """Storms, concentrations, repeated prompts, hidden retries, sources and totals."""
    paths = {source.number: _path(source.name) for source in found.sources}
    return {
        "storms": [_storm(storm, paths) for storm in found.storms],
        "concentration": [
            {
                "source": each.what,
                "period": each.period,
                "unit": each.unit,
                "measure": each.measure.replace(" ", "_"),
                "share": round(each.share, 4),
                "times_the_median": None if each.of_median is None else round(each.of_median, 1),
                "periods": each.periods,
                "amount": amount(each.amount) if each.currency else each.amount,
                "currency": each.currency,
            }
            for each in found.concentrations
        ],
        "identical": [
            {
                "prompt": each.print,
                "task": each.task,
                "tenant": each.tenant,
                "model": each.model,
                "times": each.count,
                "first": moment(each.first),
                "last": moment(each.last),
                "spacing": each.schedule,
                **_cost("wasted", each.wasted_cost),
                "source": _path(each.path),
            }
            for each in found.repeated
        ],
        "hidden_retries": [
            {
                "source": _path(each.path),
                "calls": each.calls,
                "sends": each.sends,
                "evidence": each.evidence,
            }
            for each in found.resent
        ],
        "sources": [_source(source) for source in found.sources],
        "totals": _totals(found),
    }


def _path(path: str) -> str:
    return legible(path, 4000) or ""


def _cost(name: str, cost: Cost | None) -> dict[str, Any]:
    """An amount as a decimal text in US dollars, or null; another currency's beside it."""
    known = cost is not None and cost.nanos is not None
    dollars = known and cost is not None and cost.currency == "USD"
    told = {f"{name}_usd": amount(cost.nanos) if dollars and cost is not None else None}
    if known and not dollars and cost is not None:
        told |= {name: f"{amount(cost.nanos)} {cost.currency}"}
    return told


def _basis(cost: Cost | None) -> str | None:
    """Where an amount is from: the files themselves, or what was made of them."""
    return None if cost is None or cost.nanos is None else cost.basis or "files"


def _storm(storm: Storm, paths: dict[int, str]) -> dict[str, Any]:
    blame = storm.blame
    return {
        "task": storm.name if storm.key == "task" else None,
        "url": storm.url,
        "prompts": storm.name if storm.key == "prompts" else None,
        "queue": storm.queue,
        "tenant": storm.tenant,
        "deliveries": storm.deliveries,
        "failed": storm.failed,
        "succeeded": storm.succeeded,
        "calls": storm.calls,
        "wasted_calls": storm.wasted,
        **_cost("cost", storm.cost),
        **_cost("wasted", storm.wasted_cost),
        "cost_basis": _basis(storm.cost),
        "calls_without_cost": storm.cost.unknown if storm.cost else None,
        "input_tokens": storm.tokens[0],
        "output_tokens": storm.tokens[1],
        "first": moment(storm.first),
        "last": moment(storm.last),
        "error": blame.text if blame else None,
        "reason": blame.reason if blame else None,
        "kind": blame.kind.value if blame else None,
        "spacing": storm.schedule,
        "revisions": list(storm.revisions),
        "evidence": storm.evidence,
        "cannot_know": storm.unknown,
        "sources": [paths[number] for number in sorted(storm.sources)],
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "path": _path(source.name),
        "formats": [format_.name for format_ in source.formats],
        "rows": source.rows,
        "skipped": [
            {"why": why, "rows": count, "first_line": first}
            for why, (count, first) in source.skipped.items()
        ],
        "notes": source.notes,
        "error": source.trouble,
        "cannot_know": [format_.cannot_know for format_ in source.formats],
    }


def _totals(found: Findings) -> dict[str, Any]:
    return {
        "files": len(found.sources),
        "files_read": len(found.read),
        "rows": sum(source.rows for source in found.sources),
        "rows_skipped": sum(n for source in found.sources for n, _ in source.skipped.values()),
        "calls": found.calls,
        "deliveries": found.deliveries,
        "cost": {currency: amount(nanos) for currency, nanos in found.cost.items()},
        "calls_without_cost": found.unknown_cost,
        "storms": len(found.storms),
        "tasks_left_out": found.left_out,
        "wasted_calls": sum(storm.wasted or 0 for storm in found.storms),
    }
