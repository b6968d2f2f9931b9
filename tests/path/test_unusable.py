"""Answers that were paid for and can't be used: the receipt to blame is found and asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from tests.promises.asking import outcome, word

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call, Kind, Run
from payonce.testing import MeteredProvider, reply

BAD = '{"chapters": "as many as it takes"}'
GOOD = '{"chapters": 7}'


class Outline(pydantic.BaseModel):
    """What the model is to answer."""

    chapters: int


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def app(tmp_path: Path) -> Iterator[payonce.Payonce]:
    """An app that captures, with back-off that a test can wait for."""
    app = payonce.Payonce(f"sqlite:///{tmp_path}/journal.db", version="1")
    with app.capture():
        yield app
    app.close()


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
        yield client


def _run(app: payonce.Payonce) -> Run:
    (found,) = app.journal.runs(RunFilter())
    return found.run


def _calls(app: payonce.Payonce) -> list[Call]:
    return sorted(app.journal.calls(_run(app).id), key=lambda call: call.id)


def _ask(gpt: openai.OpenAI, label: str) -> str:
    return gpt.responses.create(model="gpt-5", input=f"[{label}]").output_text


def _job(app: payonce.Payonce, work: Callable[[], Any], **options: Any) -> Callable[[int], Any]:
    @app.job(key="course:{course}", backoff=0.001, **options)
    def course(course: int) -> str:
        return str(work())

    return course


@pytest.mark.parametrize("parse", [json.loads, Outline.model_validate_json])
def test_the_receipt_that_a_parser_refused_is_asked_again(
    app: payonce.Payonce,
    provider: MeteredProvider,
    gpt: openai.OpenAI,
    parse: Callable[[str], Any],
) -> None:
    """Not the last receipt, the one whose text it was; it becomes waste, the others are kept."""
    provider.fail("outline", reply(BAD if parse is not json.loads else "Sure! { chapters: 7"))
    provider.fail("outline", reply(GOOD))

    def work() -> str:
        outline, title = _ask(gpt, "outline"), _ask(gpt, "title")
        return f"{parse(outline)} {title}"

    course = _job(app, work)
    assert word(course, 1) == "RetryLater"
    assert _run(app).kind is Kind.STOCHASTIC
    assert "7" in course(1)
    assert [(call.rejected, call.state.value) for call in _calls(app)] == [
        (True, "paid"),
        (False, "paid"),
        (False, "paid"),
    ]
    assert (provider.billed("outline"), provider.billed("title")) == (2, 1)


def test_it_is_asked_again_as_often_as_the_step_allows_then_parked(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A captured call has two more chances; then the run parks, and deliveries pay nothing."""
    provider.fail("outline", reply(BAD), times=None)
    course = _job(app, lambda: Outline.model_validate_json(_ask(gpt, "outline")), attempts=9)
    words = [word(course, 1) for _ in range(5)]
    assert words == ["RetryLater", "RetryLater", "Parked", "Parked", "Parked"]
    assert provider.billed("outline") == 3
    assert "answered 3 times" in (_run(app).reason or "")


def test_a_step_is_asked_again_with_the_calls_inside_it(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Else its captured call would be replayed, and make the same answer again."""
    provider.fail("outline", reply(BAD))
    provider.fail("outline", reply(GOOD))

    @app.step(resamples=1)
    def outline() -> str:
        return _ask(gpt, "outline")

    course = _job(app, lambda: Outline.model_validate_json(outline()))
    assert [word(course, 1), word(course, 1)] == ["RetryLater", "done"]
    assert provider.billed("outline") == 2


def test_resamples_of_a_step_are_its_own(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """With `resamples=0` the first unusable answer parks the run."""

    @app.step(resamples=0)
    def outline() -> str:
        return BAD

    course = _job(app, lambda: Outline.model_validate_json(outline()))
    assert word(course, 1) == "Parked"
    assert [call.rejected for call in _calls(app)] == [True]


def test_a_payload_that_a_parser_refused_is_deterministic(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """What the job was called with will not be another the next time; no receipt is to blame."""

    @app.job(key="course:{course}", backoff=0.001)
    def course(course: int, wanted: str) -> str:
        _ask(gpt, "title")
        return str(Outline.model_validate_json(wanted))

    assert word(course, 1, BAD) == "Parked"
    assert [call.rejected for call in _calls(app)] == [False]
    assert [each.value for each in _run(app).wakes_on] == ["input"]


def test_what_came_from_elsewhere_blames_no_receipt(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A broken file is neither an answer nor an argument: one retry, then the run parks."""

    def work() -> Any:
        _ask(gpt, "title")
        return json.loads("{'from': a file")

    course = _job(app, work)
    assert [word(course, 1), word(course, 1)] == ["RetryLater", "Parked"]
    assert [call.rejected for call in _calls(app)] == [False]
    assert provider.billed("title") == 1


def _take_apart(text: str) -> Outline:
    return Outline(**json.loads(text))


@pytest.mark.parametrize("parse", [_take_apart, Outline.model_validate_json])
def test_an_answer_without_anything_in_it_is_asked_again(
    app: payonce.Payonce,
    provider: MeteredProvider,
    gpt: openai.OpenAI,
    parse: Callable[[str], Outline],
) -> None:
    """A model that answers `{}` is told from a model that was given nothing by its receipt."""
    provider.fail("outline", reply("{}"))
    provider.fail("outline", reply(GOOD))

    course = _job(app, lambda: f"{_ask(gpt, 'title')} {parse(_ask(gpt, 'outline'))}")
    assert word(course, 1) == "RetryLater"
    assert _run(app).kind is Kind.STOCHASTIC
    assert "7" in course(1)
    assert (provider.billed("outline"), provider.billed("title")) == (2, 1)


def test_a_tool_call_without_arguments_is_asked_again(
    app: payonce.Payonce, provider: MeteredProvider
) -> None:
    """Anthropic has them as an object, which only the model can have left empty."""
    tool: Any = {"name": "outline", "description": "", "input_schema": {"type": "object"}}

    def work() -> Any:
        with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="sk-metered") as claude:
            message = claude.messages.create(
                model="claude-opus-5",
                max_tokens=100,
                messages=[{"role": "user", "content": "[outline]"}],
                tools=[tool],
                tool_choice={"type": "tool", "name": "outline"},
            )
        (block,) = [each for each in message.content if each.type == "tool_use"]
        assert block.input == {}
        return Outline(**block.input)

    course = _job(app, work)
    assert word(course, 1) == "RetryLater"
    assert [call.rejected for call in _calls(app)] == [True]


def test_a_model_that_is_given_nothing_blames_no_receipt(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Settings without their variable: the empty objects that an answer has anyway don't count."""

    def work() -> Any:
        assert '"metadata": {}' in _answer(gpt)
        return Outline()  # type: ignore[call-arg]

    course = _job(app, work)
    assert word(course, 1) == "Parked"
    assert [call.rejected for call in _calls(app)] == [False]
    assert _run(app).reason == "Outline got nothing, and lacks chapters"
    assert [each.value for each in _run(app).wakes_on] == ["config", "code"]


def _answer(gpt: openai.OpenAI) -> str:
    raw = gpt.responses.with_raw_response.create(model="gpt-5", input="[title]")
    return json.dumps(json.loads(raw.content))


def test_a_streamed_answer_is_found_too(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Its text came in pieces."""
    provider.fail("outline", reply(BAD))
    provider.fail("outline", reply(GOOD))

    def work() -> Any:
        messages: Any = [{"role": "user", "content": "[outline]"}]
        stream = gpt.chat.completions.create(model="gpt-5", messages=messages, stream=True)
        pieces = [each.choices[0].delta.content or "" for each in stream if each.choices]
        return Outline.model_validate_json("".join(pieces))

    course = _job(app, work)
    assert [word(course, 1), word(course, 1)] == ["RetryLater", "done"]
    assert provider.billed("outline") == 2


def test_an_sdks_own_parser_blames_the_answer(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """`parse()` raises over the answer before the job sees it."""
    provider.fail("outline", reply(BAD))
    provider.fail("outline", reply(GOOD))

    def work() -> Any:
        messages: Any = [{"role": "user", "content": "[outline]"}]
        parse = gpt.chat.completions.parse
        return parse(model="gpt-5", messages=messages, response_format=Outline).choices[0]

    course = _job(app, work)
    assert [word(course, 1), word(course, 1)] == ["RetryLater", "done"]
    assert provider.billed("outline") == 2


def test_a_re_ask_of_the_job_itself_needs_no_rejection(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A loop that asks with the error in the prompt pays for each turn once, and is replayed."""
    provider.fail("outline", reply(BAD))
    provider.fail("mended", reply(GOOD))
    fails = iter([True, False])

    def work() -> Any:
        try:
            made = Outline.model_validate_json(_ask(gpt, "outline"))
        except pydantic.ValidationError as exc:
            made = Outline.model_validate_json(_ask(gpt, "mended") if exc else "")
        if next(fails):
            raise TimeoutError("the database is slow")
        return made

    course = _job(app, work)
    assert isinstance(outcome(course, 1), payonce.RetryLater)
    assert course(1) == "chapters=7"
    assert (provider.billed("outline"), provider.billed("mended")) == (1, 1)
