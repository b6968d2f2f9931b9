"""Testing: batches of requests, which OpenAI and Anthropic take at once and answer later.

Creating one is billed here, with a price for each call; the work itself is never done.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from payonce.testing.anthropic import AnthropicErrors
from payonce.testing.asking import Answer, Ask, Body, Request, asked_texts
from payonce.testing.openai import OpenAIErrors
from payonce.testing.prices import Price
from payonce.testing.wire import Wire

_DAY = 24 * 60 * 60
_PRICE = Price("0", "0", call="1")


class Batches(OpenAIErrors, Wire):
    """`POST /v1/batches`: a file of requests that was uploaded before."""

    price = _PRICE

    def read(self, request: Request) -> Ask:
        """Read which file is to be worked off; its metadata are the prompt."""
        body = request.json()
        if not isinstance(body.get("input_file_id"), str):
            raise ValueError("Missing required parameter: 'input_file_id'.")
        texts = [str(text) for text in (body.get("metadata") or {}).values()]
        return Ask.of(self.provider, {"model": "batch", **body}, [*texts, body["input_file_id"]])

    def output_tokens(self, answer: Answer) -> int:
        """There are none yet."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """A `batch` that is being validated."""
        names = ("endpoint", "input_file_id", "completion_window", "metadata")
        given = {name: answer.ask.body.get(name) for name in names}
        return openai_batch(f"batch_{answer.id}", answer.created, given)


class MessageBatches(AnthropicErrors, Wire):
    """`POST /v1/messages/batches`: the requests themselves."""

    price = _PRICE

    def read(self, request: Request) -> Ask:
        """Read requests, each with a `custom_id`."""
        body = request.json()
        requests = body.get("requests")
        if not isinstance(requests, list) or not requests:
            raise ValueError("requests: Field required")
        texts = [t for one in requests for t in asked_texts(one["params"].get("messages"))]
        return Ask.of(self.provider, {"model": "batch", **body}, texts)

    def output_tokens(self, answer: Answer) -> int:
        """There are none yet."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """A `message_batch` in progress."""
        count = len(answer.ask.body["requests"])
        return anthropic_batch(f"msgbatch_{answer.id}", answer.created, count)


def openai_batch(id: str, created: int, given: Body) -> Body:
    """A batch as OpenAI shows it."""
    return {
        "endpoint": "/v1/responses",
        "input_file_id": "file-metered",
        "completion_window": "24h",
        **given,
        "id": id,
        "object": "batch",
        "status": "validating",
        "created_at": created,
        "expires_at": created + _DAY,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
    }


def anthropic_batch(id: str, created: int, count: int) -> Body:
    """A batch as Anthropic shows it."""
    done = {"succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    never: dict[str, Any] = dict.fromkeys(("ended_at", "archived_at", "cancel_initiated_at"))
    return {
        "id": id,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": count, **done},
        "created_at": _rfc3339(created),
        "expires_at": _rfc3339(created + _DAY),
        "results_url": None,
        **never,
    }


def _rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
