"""Exceptions of some 90 packages, labelled before they were judged; what was read and what wasn't.

A label says what repetition would do, by whoever provoked the failure; `reason` says why.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.decisions.records import records

from payonce.failure import classify
from payonce.fingerprint import of_failure
from payonce.model import Kind
from payonce.testing import stand_in

FILES = ("libraries", "more_libraries", "held_out")
PASSES = (Kind.TRANSIENT, Kind.THROTTLED)


def _kinds(file: str, label: str) -> dict[str, Kind]:
    wanted = (each for each in records(file) if each["label"] == label)
    return {each["name"]: classify(stand_in(each)).kind for each in wanted}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("label", ["transient", "ambiguous", "stochastic"])
def test_what_may_get_better_is_never_given_up(file: str, label: str) -> None:
    """Nothing that time or another answer may mend is called deterministic."""
    kinds = _kinds(file, label)
    assert [name for name, kind in kinds.items() if kind is Kind.DETERMINISTIC] == []


@pytest.mark.parametrize("file", FILES)
def test_what_never_gets_better_is_not_called_passing(file: str) -> None:
    """A deterministic failure may be unknown, which costs one retry, but never transient."""
    kinds = _kinds(file, "deterministic")
    assert [name for name, kind in kinds.items() if kind in PASSES] == []


@pytest.mark.parametrize(
    ("file", "most"), [("libraries", 0.03), ("more_libraries", 0.15), ("held_out", 0.15)]
)
def test_most_deterministic_failures_are_found(file: str, most: float) -> None:
    """What is left unknown says nothing of itself, or could be a model's answer."""
    kinds = _kinds(file, "deterministic")
    missed = [name for name, kind in kinds.items() if kind is not Kind.DETERMINISTIC]
    assert len(missed) <= most * len(kinds), missed


@pytest.mark.parametrize("file", FILES)
def test_most_passing_failures_are_found(file: str) -> None:
    """At least 9 of 10 transient failures are known as such; the others are unknown."""
    kinds = _kinds(file, "transient")
    missed = [name for name, kind in kinds.items() if kind not in PASSES]
    assert len(missed) <= 0.1 * len(kinds), missed


@pytest.mark.parametrize("file", FILES)
def test_a_second_run_of_a_failure_has_the_same_fingerprint(file: str) -> None:
    """Ids, times, ports and addresses differ between the two, and so does a generated word."""
    differing = []
    for each in records(file):
        first = of_failure(stand_in(each), each["words"])
        again = of_failure(stand_in(each, each["message_second_run"]), each["words"])
        if first != again:
            differing.append(each["name"])
    assert len(differing) <= 0.02 * len(records(file)), differing


def test_different_failures_have_different_fingerprints() -> None:
    """Of all pairs of records of one file, hardly any share a fingerprint; none across labels."""
    for file in FILES:
        found: dict[str, list[dict[str, Any]]] = {}
        for each in records(file):
            found.setdefault(of_failure(stand_in(each)), []).append(each)
        shared = [same for same in found.values() if len(same) > 1]
        labels = [{each["label"] for each in same} for same in shared]
        across = [
            same[0]["name"] for same, told in zip(shared, labels, strict=True) if len(told) > 1
        ]
        assert across == []
        assert sum(map(len, shared)) <= 0.06 * len(records(file)), [
            [s["name"] for s in same] for same in shared
        ]


def test_the_files_hold_every_label() -> None:
    """The figures above stand on enough cases."""
    counts = Counter(each["label"] for file in FILES for each in records(file))
    assert counts["deterministic"] >= 450
    assert counts["transient"] >= 230
    assert counts["ambiguous"] >= 100
