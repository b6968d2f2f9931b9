"""The parts that reports are made of."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from payonce.capture.answers import CODEC, Stored
from payonce.journal.payload import shrink
from payonce.model import Call, CallState, Payload
from payonce.report import text
from payonce.report.answer import as_text
from payonce.report.tables import table
from payonce.report.totals import Totals

PAID = Call(
    id=1,
    run_id=1,
    attempt=1,
    step_key="k",
    occurrence=0,
    send=1,
    name="ask",
    source="step",
    parent_id=None,
    state=CallState.PAID,
    rejected=False,
    reason=None,
    resolution=None,
    model=None,
    usage=None,
    cost_nanos=20_000_000,
    currency="USD",
    idempotency_key=None,
    started_at=0.0,
    ended_at=1.0,
)


def test_money_is_summed_per_currency() -> None:
    """Amounts of two currencies stay apart; what has no price is counted, not added as zero."""
    calls = [
        PAID,
        structs.replace(PAID, id=2, currency="EUR", cost_nanos=10_000_000, rejected=True),
        structs.replace(PAID, id=3, cost_nanos=None),
        structs.replace(PAID, id=4, state=CallState.RELEASED),
        structs.replace(PAID, id=5, state=CallState.IN_DOUBT),
        structs.replace(PAID, id=6, state=CallState.IN_DOUBT, resolution="pay_again"),
    ]
    assert Totals.of(calls).sentence() == (
        "3 paid calls (0.01 EUR + 0.02 USD, 1 of unknown price), 1 in doubt, "
        "1 rejected (waste: 0.01 EUR)"
    )


def test_a_step_around_captured_calls_is_not_counted_twice() -> None:
    """A step that only made captured calls was not billed besides them; with a cost it was."""
    inner = structs.replace(PAID, id=2, parent_id=1, source="capture")
    assert Totals.of([structs.replace(PAID, cost_nanos=None), inner]).paid == 1
    assert Totals.of([PAID, inner]).paid == 2


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, ""),
        ({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, "12 in, 3 out"),
        ({"input_tokens": 12, "output_tokens": 0}, "12 in, 0 out"),
        (
            {"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 2},
            "1 in, 9 cached, 2 out",
        ),
        ({"characters": 5}, ""),
    ],
)
def test_usage_by_whichever_names(usage: dict[str, int] | None, told: str) -> None:
    """Each provider's own names for tokens are understood; unknown ones are left out."""
    assert text.tokens(usage) == told


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")]
)
def test_sizes(count: int, told: str) -> None:
    """Bytes are told in the unit that reads best."""
    assert text.size(count) == told


def test_answers_are_read_in_each_codec_and_bounded() -> None:
    """JSON, descriptions and HTTP answers, compressed or not, are text; long ones are cut."""
    stored = Stored(200, (("content-type", "application/json"),), b'{"id": "resp_1"}')
    http = Payload(CODEC, msgspec.msgpack.encode(stored))
    long = shrink(Payload("json", b"x" * 5000))
    assert as_text(http) == '{"id": "resp_1"}'
    assert long.codec != "json"
    assert as_text(long, 10) == "xxxxxxxxxx\n… 4990 more characters"
    assert as_text(Payload("described", b"a.B: <b>")) == "a.B: <b>"
    assert "can't be read" in as_text(Payload(CODEC, b"\xc1"))


@pytest.mark.parametrize(
    "events",
    [
        b'data: {"choices": [{"delta": {"content": "Good "}}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "day"}}]}\n\ndata: [DONE]\n\n',
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
        b'"delta": {"type": "text_delta", "text": "Good day"}}\n\n',
    ],
    ids=["openai", "anthropic"],
)
def test_a_streamed_answer_is_put_together(events: bytes) -> None:
    """Of a recorded stream the text is told, and how much there was of it."""
    stored = Stored(200, (("content-type", "text/event-stream; charset=utf-8"),), events)
    told = as_text(Payload(CODEC, msgspec.msgpack.encode(stored)))
    assert told == f"Good day\n(put together from a stream of {len(events)} bytes)"


def _drawn(width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    made = table(
        "key,tenant,#paid,#held,reason",
        [["course:1", "acme", "3", None, "the column is not there, and it never was"]],
        spare=("held", "tenant", "paid"),
    )
    with console.capture() as captured:
        console.print(made)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_wide_table_shows_all_columns_on_one_line() -> None:
    """Where there is room, nothing is folded or left out."""
    header, _, row = _drawn(100)
    assert header.split() == ["key", "tenant", "paid", "reason"]
    assert row == "course:1  acme       3  the column is not there, and it never was"


def test_a_narrow_table_folds_words_and_leaves_out_what_is_spare() -> None:
    """Where there is little room, sentences are folded first, then spare columns go, by name.

    One without any content is not missed."""
    folded = _drawn(50)
    assert folded[0].split() == ["key", "tenant", "paid", "reason"]
    assert len(folded) > 3
    spared = _drawn(38)
    assert spared[0].split() == ["key", "reason"]
    assert spared[-1] == "(no room for: tenant, paid)"
