"""Each SDK, for real: two processes with one run key pay once, and print the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.capture.sdks.environments import DEVELOPERS
from tests.capture.sdks.rows import CORE, ROWS, Row

UNPRICED = {
    *("openai.achat_stream", "openai.transcription", "openai.speech", "openai.speech_streamed"),
    *("openai.achat_stream_over_aiohttp", "google_genai.embed", "cohere.rerank"),
    *("groq.transcription", "together.chat_stream"),
    *("langchain_openai.stream", "langchain_openai.astream"),
    *("litellm.completion_stream", "litellm.acompletion_stream"),
    *("llama_index.stream_chat", "llama_index.astream_chat"),
}
"""What tells no usage, or one with audio or searches, which the table of prices doesn't have."""


def params(*rows: Row) -> list[Any]:
    """Rows as parameters: those in an environment of their own are left out by default."""
    marks = [() if row.environment == DEVELOPERS else (pytest.mark.capture,) for row in rows]
    return [
        pytest.param(row, marks=mark, id=row.label()) for row, mark in zip(rows, marks, strict=True)
    ]


@pytest.mark.parametrize("row", params(*CORE, *ROWS))
def test_a_second_process_pays_nothing_and_prints_the_same(
    twice: Callable[[Row], Any], row: Row
) -> None:
    """The first process pays and fails at its end; the second sends nothing at all.

    What the journal says that it cost is the bill, or unknown.
    """
    seen = twice(row)
    assert seen.first.error is None, seen.first.error
    assert seen.second.error is None, seen.second.error
    assert seen.billed == (row.bills, 0)
    assert seen.received == (row.bills, 0)
    assert seen.first.printed == seen.second.printed
    assert seen.first.calls == seen.second.calls == row.bills  # each at one layer alone
    assert seen.first.nanos == (None if row.program in UNPRICED else seen.nanos)
    assert seen.first.nanos == seen.second.nanos
    if row.environment != DEVELOPERS:
        assert seen.version == row.version
