"""Decision: what repetition would do to a failure, and what would have to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from payonce.chain import Chain, Link
from payonce.failure import (
    http,
    libraries,
    mysql,
    naming,
    own,
    phrases,
    providers,
    python,
    replies,
    sqlite,
    sqlstate,
    stores,
)
from payonce.failure.finding import Finding, Rank
from payonce.failure.reason import reason_of
from payonce.failure.rules import Rule
from payonce.fingerprint import of_chain
from payonce.model import Diagnosis, Kind

Found = tuple[Link, Finding]

TABLES = (
    own.judge,
    mysql.judge,
    sqlite.judge,
    stores.judge,
    sqlstate.judge,
    replies.judge,
    providers.judge,
    http.judge,
    phrases.judge_tls,
    python.judge_errno,
    libraries.judge,
    naming.judge_code,
    naming.judge,
    python.judge_class,
    phrases.judge,
)
PLAIN_TABLES = (phrases.judge_tls, python.judge_errno, python.judge_class, phrases.judge)
_DEEPEST_GROUP = 4
_ASKS_MOST = (
    Kind.DETERMINISTIC,
    Kind.STOCHASTIC,
    Kind.UNKNOWN,
    Kind.THROTTLED,
    Kind.TRANSIENT,
)


def classify(
    exc: BaseException,
    rules: Sequence[Rule] = (),
    *,
    known: Iterable[str] = (),
    now: float | None = None,
) -> Diagnosis:
    """Say what a failure is: its kind, why, by which evidence, and what would mend it.

    The user's rules come first. Then the best evidence anywhere along the chain decides:
    structured code before vendor number, status, errno and class; of equal evidence the
    cause nearest to the root. What was merely being handled meanwhile (`__context__`) counts
    where the chain itself carries no code.

    Args:
        exc: a live exception; it is read, never changed.
        rules: the app's own, asked in order.
        known: values of the run's own input, kept out of the fingerprint.
        now: seconds since the epoch, for a `Retry-After` that is a date in an answer without one.
    """
    chain = Chain(exc)
    link, finding = _by_rule(chain, rules, _DEEPEST_GROUP) or _by_evidence(chain, _DEEPEST_GROUP)
    after = finding.after
    if after is None and finding.kind is not Kind.DETERMINISTIC:
        after = http.wait_of(link, now)
    return Diagnosis(
        kind=finding.kind,
        reason=reason_of(link, finding),
        evidence=finding.evidence,
        fingerprint=of_chain(chain, known),
        wakes_on=finding.wakes_on,
        after=after,
    )


def _by_rule(chain: Chain, rules: Sequence[Rule], depth: int) -> Found | None:
    for rule in rules:
        for link in chain.links:
            if rule.matches(link):
                evidence = f"rule for {link.names[0].removeprefix('builtins.')}"
                return link, Finding(Rank.OWN, rule.kind, evidence, rule.wakes_on, rule.reason)
    if not rules or not depth:
        return None
    members = [member for link in chain.links for member in link.members]
    found = [_by_rule(member, rules, depth - 1) for member in members]
    return _that_asks_most([each for each in found if each is not None])


def _by_evidence(chain: Chain, depth: int) -> Found:
    found = _weigh(chain.links, depth)
    follow_on = any(_is_follow_on(link) for link in chain.links)
    if found is None or follow_on or found[1].rank >= Rank.LIBRARY:
        found = _better(found, _weigh(chain.background, depth))
    first = chain.links[0]
    if found is not None and any(_was_swallowed(link) for link in chain.links):
        return _open_again(found)
    return found or (first, Finding(Rank.WRAPPER, Kind.UNKNOWN, _bare_evidence(first)))


def _bare_evidence(link: Link) -> str:
    state = link.sqlstate
    return f"SQLSTATE {state}" if state else link.names[0].removeprefix("builtins.")


def _better(found: Found | None, behind: Found | None) -> Found | None:
    if found is None or behind is None:
        return found or behind
    return behind if behind[1].rank < min(found[1].rank, Rank.LIBRARY) else found


def _weigh(links: list[Link], depth: int) -> Found | None:
    best: Found | None = None
    for link in links:
        found = _judge(link, depth)
        if found is not None and (best is None or _decides(found[1], best[1])):
            best = found
        if best is not None and best[1].rank is Rank.OWN:
            break
    return best


def _decides(deeper: Finding, before: Finding) -> bool:
    """Whether a finding nearer to the root takes the place of what was found above it."""
    if deeper.rank == before.rank and deeper.rank >= Rank.LIBRARY:
        return deeper.kind is not Kind.UNKNOWN or before.kind is Kind.UNKNOWN
    return deeper.rank <= before.rank


def _judge(link: Link, depth: int) -> Found | None:
    if link.members and depth:
        return _that_asks_most([_by_evidence(member, depth - 1) for member in link.members])
    if _is_follow_on(link):
        return None
    for table in PLAIN_TABLES if link.is_plain else TABLES:
        finding = table(link)
        if finding is not None:
            return link, finding
    return None


def _that_asks_most(found: list[Found]) -> Found | None:
    """Of a group's members the one that has to be mended first: the whole fails with it.

    A bare `KeyError` beside a time-out may be its fallout, so it is not trusted to be more.
    """
    first = min(found, key=lambda each: _ASKS_MOST.index(each[1].kind), default=None)
    if first is None or first[1].rank < Rank.LIBRARY:
        return first
    passes = any(each[1].kind in (Kind.TRANSIENT, Kind.THROTTLED) for each in found)
    return _open_again(first) if passes else first


def _was_swallowed(link: Link) -> bool:
    """Whether the first error was caught, and the code went on: what it was for isn't known.

    A follow-on that is raised while the first error is still being handled hides nothing.
    """
    cause, handled = link.exc.__cause__, link.exc.__context__
    return cause is not None and cause is not handled and _is_follow_on(link)


def _open_again(found: Found) -> Found:
    link, finding = found
    if finding.kind is not Kind.DETERMINISTIC or finding.rank is Rank.OWN:
        return found
    return link, replace(finding, kind=Kind.UNKNOWN, wakes_on=())


def _is_follow_on(link: Link) -> bool:
    return sqlstate.code_of(link) == sqlstate.FOLLOW_ON or libraries.is_follow_on(link)
