"""Which text a failure was raised over."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.unusable import Refused, came_from, refused, was_given


class Chapter(pydantic.BaseModel):
    """A part of what the model is to answer."""

    title: str
    pages: int


class Outline(pydantic.BaseModel):
    """What the model is to answer."""

    chapters: list[Chapter]


def _refusal(text: str) -> Refused:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Outline.model_validate_json(text)
    return refused(caught.value)


def _body(text: str) -> bytes:
    return json.dumps({"id": "chatcmpl-1", "choices": [{"message": {"content": text}}]}).encode()


BAD = json.dumps({"chapters": [{"title": "Bees", "pages": 3}, {"title": "Hives", "pages": "?"}]})
OTHER = json.dumps({"chapters": [{"title": "Bees", "pages": 3}, {"title": "Hives", "pages": 4}]})


@pytest.mark.parametrize(
    "told",
    [BAD, f"```json\n{BAD}\n```", f"Here you are: {BAD} Enjoy!"],
    ids=["bare", "fence", "text"],
)
def test_a_refused_value_is_found_at_its_place(told: str) -> None:
    """In the JSON that an answer's text is, has between fences, or between braces."""
    over = _refusal(BAD)
    assert came_from(over, _body(told))
    assert came_from(over, told)
    assert came_from(over, json.loads(BAD))


def test_an_answer_like_it_is_not_blamed() -> None:
    """The same document with another value at that place."""
    assert not came_from(_refusal(BAD), _body(OTHER))


def test_a_missing_field_is_found_by_what_lacks_it() -> None:
    """pydantic gives the whole object as the input of what is missing."""
    lacking = json.dumps({"chapters": [{"title": "Bees"}]})
    assert came_from(_refusal(lacking), _body(lacking))
    assert not came_from(_refusal(lacking), _body(OTHER))


def test_a_broken_text_is_found_as_it_is() -> None:
    """Also as a part of a longer answer, if it is long enough to be sure."""
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"chapters": [1, 2')
    over = refused(caught.value)
    assert came_from(over, _body('Sure: {"chapters": [1, 2'))
    assert not came_from(over, _body('{"chapters": [1, 3'))
    with pytest.raises(json.JSONDecodeError) as short:
        json.loads("no")
    assert came_from(refused(short.value), _body("no"))
    assert not came_from(refused(short.value), _body("there is nothing"))


def test_what_the_job_was_given_is_told_from_an_answer() -> None:
    """As a whole text, or as a document."""
    over = _refusal(BAD)
    assert was_given(over, [42, json.loads(BAD)])
    assert was_given(over, [BAD.encode()])
    assert not was_given(over, [OTHER, 42, None])


def test_an_sdks_error_names_its_completion() -> None:
    """By the id of the answer that it holds."""
    completion = type("Completion", (), {"id": "chatcmpl-1"})()
    error = type("LengthFinishReasonError", (Exception,), {"completion": completion})
    assert came_from(refused(error("too long")), _body("x"))
    assert not came_from(refused(error("too long")), b'{"id": "chatcmpl-2"}')


def test_other_failures_were_raised_over_nothing() -> None:
    """They carry no text that could be looked for."""
    assert not refused(KeyError("chapters"))
    assert not refused(TimeoutError())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(answer=_JSON | st.binary() | st.text())
def test_any_answer_can_be_looked_through(answer: Any) -> None:
    """Whatever an answer is, looking at it raises nothing and finds nothing by chance."""
    assert not came_from(_refusal(BAD), answer)
    assert not was_given(_refusal(BAD), [answer])
