"""Events come out whole, wherever the chunks of a stream are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.capture.sse import Event, Splitter

STREAM = (
    b"\xef\xbb\xbf: a comment\n\n"
    b"event: delta\ndata: one\n\n"
    b"event: two\r\ndata: first line\r\ndata: second line\r\nid: 7\r\n\r\n"
    b"data:no space\r\rdata: [DONE]\n\n"
)
READ = [("delta", b"one"), ("two", b"first line\nsecond line"), ("message", b"no space")]


def _fed(*chunks: bytes) -> list[Event]:
    splitter = Splitter()
    return [event for chunk in chunks for event in splitter.feed(chunk)]


def _read(events: list[Event]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events if event.data]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_chunk_borders_do_not_matter(borders: list[int]) -> None:
    """Names and data are the same however the bytes are cut, and no byte is lost."""
    cuts = [0, *sorted(borders), len(STREAM)]
    events = _fed(*(STREAM[a:b] for a, b in pairwise(cuts)))
    assert _read(events) == [*READ, ("message", b"[DONE]")]
    assert b"".join(event.raw for event in events) == STREAM


def test_single_bytes_are_enough() -> None:
    """A stream that comes byte by byte is read like one that comes at once."""
    assert _read(_fed(*(STREAM[i : i + 1] for i in range(len(STREAM))))) == _read(_fed(STREAM))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_what_is_not_finished_is_kept_back(end: bytes) -> None:
    """An event without its blank line is not an event yet."""
    assert _fed(b"data: half" + end) == []


@given(st.binary(max_size=200))
def test_any_bytes_can_be_fed(noise: bytes) -> None:
    """Bytes that are no events at all do no harm."""
    raw = b"".join(event.raw for event in _fed(noise))
    assert noise.startswith(raw)
