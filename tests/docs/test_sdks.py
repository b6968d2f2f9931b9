"""The page of SDKs says what the table of rows says, and the pins are there."""

from __future__ import annotations

from tests.capture.sdks.page import PAGE, page
from tests.capture.sdks.rows import ROWS


def test_the_page_of_sdks_is_the_table_of_rows() -> None:
    """`docs/sdks.md` is what `python -m tests.capture.sdks.page` writes."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_no_row_is_there_twice() -> None:
    """Rows are told apart by what the provider counts by."""
    labels = [row.label() for row in ROWS]
    assert len(set(labels)) == len(labels)
