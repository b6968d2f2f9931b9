"""What SDKs send again by themselves is governed: one logical call is billed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.capture.sdks.rows import CORE, ROWS, Row
from tests.capture.sdks.test_rows import params

GOVERNED = params(*(row for row in (*CORE, *ROWS) if row.retries is not None))
ALONE = params(*(row for row in ROWS if row.retries is not None))


@pytest.mark.parametrize("fault", ["timeout", "drop"])
@pytest.mark.parametrize("row", GOVERNED)
def test_a_call_in_doubt_is_billed_once(
    faulty: Callable[[Row, str], Any], row: Row, fault: str
) -> None:
    """A read timeout and a dropped connection, both after the provider has billed."""
    case = faulty(row, fault)
    assert case.outcome.error is not None
    assert (case.billed, case.received) == (1, 1), case.outcome.error


@pytest.mark.parametrize("fault", ["timeout", "drop"])
@pytest.mark.parametrize("row", ALONE)
def test_without_payonce_it_is_billed_as_the_table_says(
    faulty: Callable[[Row, str], Any], row: Row, fault: str
) -> None:
    """The same program, outside of a run: what the page says of the SDK is measured."""
    case = faulty(row, f"bare-{fault}")
    assert row.retries is not None
    assert case.outcome.error is not None
    assert case.billed == getattr(row.retries, fault), case.outcome.error


@pytest.mark.parametrize("fault", ["limit", "busy"])
@pytest.mark.parametrize("row", GOVERNED)
def test_what_was_surely_not_billed_is_tried_again_as_ever(
    faulty: Callable[[Row, str], Any], row: Row, fault: str
) -> None:
    """429 and 503 are left to the SDK: it tries again where it would, and gets its answer."""
    case = faulty(row, fault)
    assert row.retries is not None
    if row.retries.again:
        assert case.outcome.error is None, case.outcome.error
        assert (case.billed, case.received) == (1, 2)
    else:
        assert case.outcome.error is not None
        assert (case.billed, case.received) == (0, 1)


@pytest.mark.parametrize("row", GOVERNED)
def test_a_quota_that_is_used_up_is_asked_for_once(
    faulty: Callable[[Row, str], Any], row: Row
) -> None:
    """No retry gives an account money."""
    case = faulty(row, "quota")
    assert case.outcome.error is not None
    assert (case.billed, case.received) == (0, 1), case.outcome.error
