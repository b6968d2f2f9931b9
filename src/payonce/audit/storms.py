"""Reading, for `audit`: retry storms, from the tasks and addresses that failed again and again."""

from __future__ import annotations

from typing import Any

from payonce.audit.blame import blame
from payonce.audit.findings import Storm
from payonce.audit.spacing import schedule_of, waits
from payonce.audit.spent import add_calls
from payonce.audit.store import Store
from payonce.audit.wording import TIMELESS, counted, legible
from payonce.model import Kind

_ALONE = 5
"""Failures that make a storm where nothing tells of paid calls, nor of a failure that stays."""


def storms_of_tasks(store: Store, least: int, most: int) -> tuple[list[Storm], int]:
    """Tasks that failed at least so often, with what they paid; and how many more there are."""
    rows = store.rows("ask", "storms", least=least, most=most)
    found = (_storm(store, row[:-1]) for row in rows)
    more = rows[0][-1] - len(rows) if rows else 0
    return [storm for storm in found if is_storm(storm)], more


def is_storm(storm: Storm) -> bool:
    """Whether it is one: it paid in vain, fails for good, or goes on for long."""
    if storm.wasted or (storm.succeeded and storm.calls is not None):
        return bool(storm.wasted)
    lasting = storm.blame is not None and storm.blame.kind is Kind.DETERMINISTIC
    return bool(storm.failed and lasting) or storm.failed >= _ALONE


def _storm(store: Store, row: tuple[Any, ...]) -> Storm:
    task, deliveries, failed, done, number, first, last, queue, url, tenant, sources, revs = row
    storm = Storm(
        *("task", legible(task) or "", deliveries, failed, done > 0, first, last),
        queue=queue,
        url=legible(url),
        tenant=legible(tenant),
        revisions=tuple(legible(each) or "" for each in revs or ()),
        sources=set(sources),
    )
    if first >= TIMELESS:
        found = waits(store.rows("ask", "times_of", task=task))
        storm.schedule = schedule_of(found, queue)
    else:
        storm.unknown.append("when it was: the log's lines have no dates")
    storm.blame = blame(store.rows("ask", "errors_of", task=task))
    storm.evidence.append(
        f"{counted(deliveries, 'delivery', 'deliveries')} of one task, {failed:,} failed"
    )
    if done and failed + done > 1 and done > 1:
        storm.evidence.append(f"{done:,} succeeded: it was done again after that")
    if number is not None and number > deliveries:
        storm.unknown.append(
            f"{number - deliveries:,} more deliveries: the last is number {number:,}"
        )
    add_calls(storm, store, task)
    _add_rest(storm)
    return storm


def _add_rest(storm: Storm) -> None:
    if storm.schedule:
        storm.evidence.append(f"repeated {storm.schedule}")
    if storm.blame is None:
        storm.unknown.append("which error it failed with")
    elif storm.blame.kind is Kind.DETERMINISTIC:
        storm.evidence.append("its error doesn't get better with repetition")
    unpriced = storm.calls is not None and storm.cost is not None and storm.cost.nanos is None
    if unpriced and not any(text.startswith("what the calls to ") for text in storm.unknown):
        storm.unknown.append(
            "what the calls cost: a gateway's or tracer's export for that time would tell, or the "
            "provider's usage by model"
        )


def storms_of_urls(store: Store, least: int, most: int, known: list[Storm]) -> list[Storm]:
    """Addresses that failed again and again, where no file names the tasks.

    What the storms of known tasks explain is added to these.
    """
    found = []
    for row in store.rows("ask", "times_of_urls", least=least, most=most):
        url, sources, queue, count, failed, done, first, last, begun, ended, status, revs, told = (
            row
        )
        if told and failed <= told + max(1, told // 50):
            for storm in (storm for storm in known if _is_at(storm, url)):
                storm.sources |= set(sources)
                storm.revisions = storm.revisions or tuple(legible(r) or "" for r in revs or ())
                storm.evidence.append(f"{failed:,} requests to its address answered {status}")
            continue
        schedule = schedule_of(waits(list(zip(begun, ended, strict=True))), queue)
        if done or (schedule is None and failed < _ALONE):
            continue
        if queue == "cloud-scheduler" and (schedule is None or schedule.startswith("every ")):
            continue
        storm = Storm("url", legible(url) or "", count, failed, False, first, last, queue, url)
        storm.schedule, storm.url = schedule, legible(url)
        storm.revisions = tuple(legible(each) or "" for each in revs or ())
        storm.sources |= set(sources)
        storm.evidence.append(
            f"all {failed:,} requests of a queue to it failed, most with {status}"
        )
        storm.unknown += ["whether it is one task: the log has no task names", "what it paid for"]
        _add_rest(storm)
        found.append(storm)
    return found


def _is_at(storm: Storm, url: str) -> bool:
    if storm.url is None:
        return False
    return url == storm.url or url.endswith(storm.url) or storm.url.endswith(url)
