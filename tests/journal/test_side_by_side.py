"""Reads that don't wait for each other: all at once, in order, and failures are not lost."""

from __future__ import annotations

from threading import Barrier, get_ident

import pytest

from payonce.journal.side_by_side import AT_ONCE, aside, together


def test_reads_are_under_way_at_the_same_time() -> None:
    """So many reads wait for each other, and none waits in vain."""
    all_there = Barrier(AT_ONCE, timeout=60)
    assert len(together([all_there.wait] * AT_ONCE)) == AT_ONCE


def test_what_was_read_comes_in_the_order_of_the_reads() -> None:
    """However many reads there are, each result stands where its read stood."""
    assert together([lambda n=n: n for n in range(100)]) == list(range(100))  # type: ignore[misc]
    assert together([]) == []


def test_one_read_needs_no_thread() -> None:
    """A single read is done by whoever asks."""
    assert together([get_ident]) == [get_ident()]


def test_what_fails_beside_others_is_asked_again_alone() -> None:
    """What other threads could not read, whoever waits reads, one after the other."""
    own = get_ident()

    def read() -> str:
        if get_ident() != own:
            raise ConnectionError("sorry, too many clients already")
        return "read"

    assert together([read] * 20) == ["read"] * 20
    assert aside(read)() == "read"


def _fails() -> int:
    raise LookupError("gone")


def test_a_failure_comes_to_whoever_waits() -> None:
    """What a read raises is raised where its result is asked for."""
    wait = aside(_fails)
    with pytest.raises(LookupError, match="gone"):
        wait()
    with pytest.raises(LookupError, match="gone"):
        together([lambda: 1, _fails, lambda: 3])
