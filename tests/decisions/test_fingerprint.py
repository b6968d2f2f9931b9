"""What counts as the same failure, the same request, the same step."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import uuid
from collections import OrderedDict, deque
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.errors import NotKeyable
from payonce.fingerprint import of_arguments, of_failure, of_request, of_step, plain_message

UNTIMED = settings(deadline=None)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False).filter(bool),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, JSON_VALUES, max_size=5)


def _request(value: Any, *ignore: str) -> str:
    body = json.dumps(value).encode()
    return of_request("openai", "/v1/responses", "application/json", body, ignore)


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(each) for each in value] if isinstance(value, list) else value


def _exact(value: Any) -> str:
    """JSON tells `1`, `1.0`, `true` and `"1"` apart, as Python's `==` does not."""
    return json.dumps(value, sort_keys=True)


# A request --------------------------------------------------------------------------------


@UNTIMED
@given(OBJECTS)
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    """A request, a step and a run's arguments are compared by content."""
    assert _request(value) == _request(_reversed(value))
    assert of_step("s", value) == of_step("s", _reversed(value))
    encoded = [
        json.dumps(each, indent=indent) for each, indent in ((value, 1), (_reversed(value), 4))
    ]
    assert len({of_arguments(each.encode()) for each in encoded}) == 1


@UNTIMED
@given(JSON_VALUES, JSON_VALUES)
def test_different_values_have_different_fingerprints(one: Any, other: Any) -> None:
    """Two values share a fingerprint only if they are the same JSON."""
    same = _exact(one) == _exact(other)
    assert (_request(one) == _request(other)) == same
    assert (of_step("s", {"a": one}) == of_step("s", {"a": other})) == same


@UNTIMED
@given(OBJECTS, JSON_VALUES, JSON_VALUES)
def test_what_is_ignored_may_differ(value: dict[str, Any], one: Any, other: Any) -> None:
    """A value at an ignored path counts for nothing, and neither does its absence."""
    first, second = ({**value, "meta": {"sent": each, "x": 1}} for each in (one, other))
    assert _request(first, "meta.sent") == _request(second, "meta.sent")
    assert _request(first, "meta") == _request(value, "meta")


def test_ignored_paths_reach_into_lists() -> None:
    """A position, or `*` for each one; a path that leads nowhere changes nothing."""
    first, second = ({"messages": [{"id": each, "text": "x"}, {"id": 0}]} for each in (1, 2))
    for path in ("messages.*.id", "messages.0.id", "*.0.id", "messages.0", "messages"):
        assert _request(first, path) == _request(second, path)
    for path in (
        "messages.1.id",
        "messages.9.id",
        "nowhere.id",
        "messages.text",
        "messages.*.text",
    ):
        assert _request(first, path) != _request(second, path)


def test_who_is_asked_and_where_counts() -> None:
    """Provider, path and media type are part of a request."""
    calls = [
        ("openai", "/v1/a", "application/json", b"{}"),
        ("azure", "/v1/a", "application/json", b"{}"),
        ("openai", "/v1/b", "application/json", b"{}"),
        ("openai", "/v1/a", "text/plain", b"{}"),
        ("openai", "/v1/a", "application/json", b"{ "),
    ]
    assert len({of_request(*call) for call in calls}) == len(calls)
    plain, charset = "application/json", "Application/JSON; charset=utf-8"
    assert of_request("p", "/", plain, b'{"a": 1}') == of_request("p", "/", charset, b'{"a":1}')


@pytest.mark.parametrize("body", [b"", b"{no", b"\xff\xfe", b'"\\ud800"', b"1e999", b"[" * 9999])
def test_a_body_that_is_no_json_counts_by_its_bytes(body: bytes) -> None:
    """Nothing is refused, whatever an SDK sends."""
    first = of_request("p", "/", "application/json", body)
    assert first == of_request("p", "/", "application/json", body)
    assert first != of_request("p", "/", "application/json", body + b" ")


def test_a_multipart_boundary_does_not_matter() -> None:
    """Each sending draws another boundary."""

    def form(boundary: str, quoted: bool, text: str) -> str:
        body = f"--{boundary}\r\nContent-Disposition: form-data\r\n\r\n{text}\r\n--{boundary}--\r\n"
        value = f'"{boundary}"' if quoted else boundary
        kind = f"multipart/form-data; boundary={value}"
        return of_request("openai", "/v1/audio", kind, body.encode())

    assert form("a1b2", False, "x") == form("zz9", False, "x") == form("q=1", True, "x")
    assert form("a1b2", False, "x") != form("a1b2", False, "y")
    assert len(of_request("p", "/", "multipart/form-data", b"x")) == 32


# A step -----------------------------------------------------------------------------------


class Tone(enum.Enum):
    """A plain enumeration."""

    WARM = "warm"


class Name(str):
    """A string with a class of its own."""

    __slots__ = ()


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "equal"),
    [
        (Point(1, 2), {"y": 2, "x": 1}),
        (Tone.WARM, "warm"),
        (Decimal("1.50"), "1.50"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (b"abc", "YWJj"),
        ((1, 2), [1, 2]),
        (deque([1, 2]), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (Name("x"), "x"),
        ({"list": [Name("x"), Tone.WARM]}, {"list": ["x", "warm"]}),
    ],
)
def test_a_value_counts_as_the_json_it_becomes(value: Any, equal: Any) -> None:
    """So that arguments which went through the journal give the same step key."""
    assert of_step("s", {"a": value}) == of_step("s", {"a": equal})


def test_a_pydantic_model_counts_as_its_fields() -> None:
    """Found by its method, so pydantic needn't be there."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", x=(int, ...), when=(dt.date, ...))
    value = model(x=1, when=dt.date(2026, 1, 2))
    assert of_step("s", {"a": value}) == of_step("s", {"a": {"x": 1, "when": "2026-01-02"}})


def test_number_truth_and_text_are_not_the_same() -> None:
    """`1`, `True`, `1.0` and `"1"` are equal to Python, or look equal, and yet differ."""
    values = [1, True, 1.0, "1", None, "None", 0, False, "", [], {}, [1], 10**30]
    assert len({of_step("s", {"a": each}) for each in values}) == len(values)
    assert of_step("s", {"a": 1}) != of_step("t", {"a": 1}) != of_step("s", {"b": 1})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "builtins.object"),
        (lambda: 1, "function"),
        (Point, "class"),
        (float("nan"), "finite"),
        ([1.0, {"x": float("inf")}], "finite"),
        ("\ud800", "surrogates"),
        ({(1, 2): 3}, "keys"),
        ({1, "a"}, "not supported"),
        (iter([1]), "list_iterator"),
    ],
)
def test_a_value_without_a_canonical_form_is_refused(value: Any, told: str) -> None:
    """The message names the step, the argument and the reason."""
    with pytest.raises(NotKeyable, match=told) as caught:
        of_step("write", {"fine": 1, "topic": value})
    assert "argument 'topic' of step 'write'" in caught.value.what
    assert caught.value.paid == "no"


def test_a_value_that_holds_itself_is_refused() -> None:
    """Rather than followed for ever."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotKeyable, match="topic"):
        of_step("write", {"topic": endless})


# A failure --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("no row 4711", "no row <id>"),
        ("took 12.5ms of 30s", "took <id>ms of <id>s"),
        ("user 0f8fad5b-d9cb-469f-a165-70867728950e", "user <id>"),
        ("see https://api.example.com/v1/x?id=7 now", "see <url api.example.com> now"),
        ("at http://127.0.0.1:8080/a", "at <url>"),
        ("at 10.0.0.7:5432", "at <ip>"),
        ("mail jo@example.com", "mail <email>"),
        ("on 2026-10-21T07:28:00.12Z", "on <time>"),
        ("2026-10-21 07:28:00,123 late", "<time> late"),
        ("after 1.5e-05 s or 2e9", "after <id> s or <id>"),
        ("lacks {'title', 'outline'}", "lacks {'outline', 'title'}"),
        ("(request id: req_5638f6a8c896d7ec)", "(request id: <id>)"),
        ("<Foo object at 0x7f3a2b>", "<Foo object at <id>>"),
        ("commit deadbeef01", "commit <id>"),
        ("open '/srv/data/a.txt'", "open '<path>'"),
        ("Duplicate entry 'jo' for key 'email'", "Duplicate entry <value> for key 'email'"),
        ('column "answer_v2" does not exist', 'column "answer_v2" does not exist'),
        ("null\nDETAIL:  Failing row contains (1)", "null"),
        ("bad\n[SQL: select 1]\n[parameters: (2)]", "bad"),
        ("bad (Background on this error at: https://x)", "bad"),
    ],
)
def test_a_message_loses_what_differs_from_run_to_run(message: str, plain: str) -> None:
    """Ids and values go, names of columns stay."""
    assert plain_message(message) == plain


def test_known_input_is_taken_out() -> None:
    """The run's own values are replaced, the longest first; tiny ones are left alone."""
    assert (
        plain_message("no plan for ada lovelace", ["ada", "ada lovelace"]) == "no plan for <input>"
    )
    assert plain_message("a is a", ["a"]) == "a is a"


def test_a_missing_column_is_another_failure_than_its_neighbour() -> None:
    """What has to be mended differs."""
    assert of_failure(KeyError("a")) != of_failure(KeyError("b"))
    assert of_failure(KeyError("a")) != of_failure(LookupError("'a'"))
    assert len(of_failure(KeyError("a"))) == 16


def test_what_it_was_made_of_counts() -> None:
    """One `RuntimeError("could not save")` may have many causes."""
    failures = []
    for cause in (KeyError("a"), ValueError("a"), None):
        exc = RuntimeError("could not save")
        exc.__cause__ = cause
        failures.append(of_failure(exc))
    assert len(set(failures)) == 3


def test_where_it_was_raised_counts_but_not_the_line() -> None:
    """The application's own functions are part of a failure."""

    def one(extra: bool) -> None:
        if extra:
            raise RuntimeError("x")
        raise RuntimeError("x")

    def other() -> None:
        raise RuntimeError("x")

    def fingerprint(call: Any, *args: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            call(*args)
        return of_failure(caught.value)

    assert fingerprint(one, True) == fingerprint(one, False) != fingerprint(other)


def test_the_order_of_a_groups_members_does_not_matter() -> None:
    """Tasks end in any order."""
    one, other = KeyError("a"), TimeoutError("b")
    groups = [ExceptionGroup("g", each) for each in ([one, other], [other, one, one])]
    assert of_failure(groups[0]) == of_failure(groups[1])
    assert of_failure(groups[0]) != of_failure(ExceptionGroup("g", [one]))


@UNTIMED
@given(st.text(max_size=200), st.lists(st.text(max_size=10), max_size=3))
def test_any_message_has_a_fingerprint(message: str, known: list[str]) -> None:
    """Lone surrogates and control characters too; and it is always the same one."""
    assert of_failure(ValueError(message), known) == of_failure(ValueError(message), known)
