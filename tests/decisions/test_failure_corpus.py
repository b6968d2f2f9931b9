"""Recorded real exceptions of drivers, HTTP clients and SDKs, against labels given by hand."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

import pytest
from tests.decisions.records import records

from payonce.failure import classify
from payonce.fingerprint import of_failure
from payonce.model import Kind
from payonce.testing import stand_in

RECORDS = records()
GENERATED_INPUT = re.compile(r"(?<![a-z])[a-p]{8}(?![a-z])")


def _name(record: dict[str, Any]) -> str:
    return str(record["name"])


def _labelled(*labels: str) -> list[dict[str, Any]]:
    return [each for each in RECORDS if each["label"] in labels]


@pytest.mark.parametrize("record", _labelled("transient", "stochastic"), ids=_name)
def test_what_time_or_a_redraw_may_mend_is_never_called_deterministic(
    record: dict[str, Any],
) -> None:
    """A transient or stochastic failure is not given up."""
    assert classify(stand_in(record)).kind is not Kind.DETERMINISTIC


@pytest.mark.parametrize("record", _labelled("transient"), ids=_name)
def test_a_transient_failure_is_known_as_one(record: dict[str, Any]) -> None:
    """Transient failures are found, throttling among them."""
    assert classify(stand_in(record)).kind in (Kind.TRANSIENT, Kind.THROTTLED)


@pytest.mark.parametrize("record", _labelled("ambiguous"), ids=_name)
def test_an_ambiguous_failure_is_not_called_deterministic(record: dict[str, Any]) -> None:
    """What may go either way stays open."""
    assert classify(stand_in(record)).kind is not Kind.DETERMINISTIC


def test_deterministic_failures_are_found() -> None:
    """At least 97 of 100 are; what is left could as well be a model's answer."""
    wanted = _labelled("deterministic")
    missed = [
        each["name"] for each in wanted if classify(stand_in(each)).kind is not Kind.DETERMINISTIC
    ]
    assert len(missed) <= 0.03 * len(wanted), missed
    assert len(wanted) >= 70


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_every_diagnosis_can_be_read(record: dict[str, Any]) -> None:
    """There is a sentence, evidence, and something to wake on if it is deterministic."""
    diagnosis = classify(stand_in(record))
    assert diagnosis.reason
    assert "\n" not in diagnosis.reason
    assert diagnosis.evidence
    assert bool(diagnosis.wakes_on) == (diagnosis.kind is Kind.DETERMINISTIC)


def test_the_same_cause_has_the_same_fingerprint_with_other_ids() -> None:
    """Two runs of one failure differ in ids, rows and times, not in their fingerprint."""
    differing = []
    for record in RECORDS:
        first, second = record["message"], record["message_second_run"]
        known = GENERATED_INPUT.findall(f"{first} {second}")
        if of_failure(stand_in(record), known) != of_failure(stand_in(record, second), known):
            differing.append(record["name"])
    assert len(differing) <= 0.02 * len(RECORDS), differing


def test_most_fingerprints_hold_without_knowing_the_input() -> None:
    """What is generic in a message is found by its shape alone."""
    differing = [
        record["name"]
        for record in RECORDS
        if of_failure(stand_in(record))
        != of_failure(stand_in(record, record["message_second_run"]))
    ]
    assert len(differing) <= 0.05 * len(RECORDS), differing


def test_different_causes_have_different_fingerprints() -> None:
    """Only one error that two drivers raise alike shares its fingerprint."""
    by_fingerprint: dict[str, list[str]] = defaultdict(list)
    for record in RECORDS:
        by_fingerprint[of_failure(stand_in(record))].append(record["name"])
    shared = [names for names in by_fingerprint.values() if len(names) > 1]
    assert shared == [["sqlite3: no such column", "aiosqlite: no such column"]]


def test_the_corpus_holds_every_label() -> None:
    """The figures above stand on enough cases of each kind."""
    counts = Counter(record["label"] for record in RECORDS)
    assert counts["deterministic"] >= 60
    assert counts["transient"] >= 25
    assert counts["ambiguous"] >= 30
