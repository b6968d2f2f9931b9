"""Values are written down as their types say, and come back the same, or are described."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.path.shapes import Colour, Model, Opaque, Pair, Point, Struct, Told

from payonce.model import Payload
from payonce.values import DESCRIBED, decode, encode

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_values_come_back(value: Any) -> None:
    """Whatever JSON can hold needs no hint."""
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        Point(1),
        Pair(1, "b"),
        Colour.RED,
        Struct(2),
        Model(name="m", points=[Point(1, 2)]),
        (1, 2),
        {1, 2},
        frozenset({"a"}),
        b"bytes",
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        datetime.date(2026, 1, 2),
        decimal.Decimal("0.10"),
        uuid.UUID(int=7),
    ],
)
def test_a_value_knows_its_own_class(value: Any) -> None:
    """Without a hint the class is written beside the value."""
    back = decode(encode(value))
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Point, Point(1, 2)),
        (list[Point], [Point(1), Point(2)]),
        (dict[str, Model], {"a": Model(name="m")}),
        (dict[int, str], {1: "a"}),
        (Model | None, None),
        (Model | None, Model(name="m")),
        (tuple[int, Point], (1, Point(2))),
        (Told, {"text": "t"}),
        (Sequence[str], ["a"]),
        (list[Pair], [Pair(1, "b")]),
        (float, 1.0),
        (str, "text"),
        (Any, {"a": [1, None]}),
        (object, "x"),
        (None, None),
    ],
)
def test_a_hint_says_how_to_read(hint: Any, value: Any) -> None:
    """A declared type is kept to, however it is nested."""
    back = decode(encode(value, hint), hint)
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize("value", [Opaque(), [Opaque()], object, lambda: None, "\ud800"])
def test_what_cannot_be_written_is_described(value: Any) -> None:
    """It leaves a text, without secrets, that can't be taken for the value."""
    payload = encode(value)
    assert payload.codec == DESCRIBED
    assert b"sk-1234567890abcdef" not in payload.body
    with pytest.raises(ValueError, match=r"."):
        decode(payload)


def test_what_comes_back_changed_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A value that comes back bent is kept, and the log says to annotate it."""
    assert decode(encode((1, (2, 3)), name="the answer of ask")) == (1, [2, 3])
    assert "the answer of ask" in caplog.text
    assert "annotate" in caplog.text


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        (Payload("json", b'"text"'), int),
        (Payload("json", b"{broken"), Any),
        (Payload("json=tests.path.shapes:Point", b'{"z": 1}'), Any),
        (Payload("json=tests.path.test_values:pytest", b"1"), Any),
    ],
)
def test_what_no_longer_fits_is_a_value_error(payload: Payload, hint: Any) -> None:
    """After a deploy that changed a type, the value is refused and shown, not guessed."""
    with pytest.raises(ValueError, match=r"."):
        decode(payload, hint)
