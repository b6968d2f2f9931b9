"""Edge, inside `otel`: the kinds of spans, and what is written on each.

    process JOB          a delivery, from its door to its verdict; linked to what sent the message
      attempt JOB        an attempt, while it works
        step NAME        a call of a step, with what is called inside of it
        chat MODEL       one physical send of a captured call, to the end of its receipt
        payonce.replayed an event: a receipt is handed out, nothing is sent

No prompt, no answer and no text of an error is written on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from payonce.model import Call, Delivery
from payonce.money import NANOS
from payonce.otel.genai import described, host_of
from payonce.otel.usage import tokens
from payonce.redact import redact
from payonce.sights import (
    AttemptSeen,
    Begun,
    CallEnded,
    CallSeen,
    DeliverySeen,
    Ended,
    Outcome,
    Whose,
    Word,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Tracer

Told = dict[str, Any]

# What stands in the place of a queue where a job is called by no message.
_NO_QUEUE = frozenset({"direct", "lookout", "wake"})
_INFERENCE = frozenset({"chat", "embeddings", "generate_content", "text_completion"})
_SYSTEMS = {"cloud-tasks": "gcp_cloud_tasks", "pubsub": "gcp_pubsub", "sqs": "aws_sqs"}


class Started(NamedTuple):
    """A span, the context in which it is the current one; whether one around it tells tokens."""

    span: Span
    context: Context
    is_told: bool = False


class Spans:
    """Starts spans, and tells what their ends say."""

    def __init__(self, tracer: Tracer, *, gen_ai: bool) -> None:
        self._tracer, self._gen_ai = tracer, gen_ai

    def start(self, what: Begun) -> Started:
        """A span inside of the current one."""
        from opentelemetry.context import get_current
        from opentelemetry.trace import SpanKind, get_current_span, set_span_in_context

        context, is_told = get_current(), False
        links: list[Link] = []
        match what:
            case DeliverySeen():
                name, kind, told = _delivery(what)
                links = _links(what.carrier)
            case AttemptSeen(whose, code):
                name, kind = f"attempt {whose.job}", SpanKind.INTERNAL
                told = _whose(whose) | {"payonce.world.code": code}
            case CallSeen():
                name, kind, told = self._call(what)
                is_told = _tells_tokens(get_current_span(context))
        span = self._tracer.start_span(name, context, kind, _given(told), links)
        return Started(span, set_span_in_context(span, context), is_told)

    def told(self, how: Ended, *, is_told: bool) -> Told:
        """What the end of a span adds to it; no tokens where a span around it tells them."""
        if isinstance(how, Outcome):
            return _given(_outcome(how))
        told = _ended(how)
        if self._gen_ai and described(how.call) is not None and how.call.usage is not None:
            told |= _answered(how.call)
            told |= {} if is_told else _used(how.call)
        return _given(told)

    def note(self, what: CallSeen, word: Word) -> None:
        """An event on the current span."""
        from opentelemetry.trace import get_current_span

        span = get_current_span()
        if span.is_recording():
            span.add_event(f"payonce.{word}", _given(self._noted(what, word)))
            if word == "replayed" and _tells_tokens(span):
                span.set_attribute("payonce.replayed", True)

    def _noted(self, what: CallSeen, word: Word) -> Told:
        call = what.call
        told = {
            **_step(call),
            "payonce.replayed": True if word == "replayed" else None,
            "payonce.call.state": call.state.value,
            **_cost(call, f"payonce.cost.{word}" if word != "found" else "payonce.cost"),
        }
        if self._gen_ai and described(call) is not None:
            told["gen_ai.response.model"] = call.model
        return told

    def _call(self, what: CallSeen) -> tuple[str, SpanKind, Told]:
        from opentelemetry.trace import SpanKind

        call, asked = what.call, described(what.call)
        told = _whose(what.whose) | _step(call)
        if call.source != "capture":
            return f"step {call.name}", SpanKind.INTERNAL, told
        if asked is None:
            host = host_of(call)
            return f"call {host}", SpanKind.CLIENT, told | {"server.address": host}
        if not self._gen_ai:
            return f"call {asked.provider}", SpanKind.CLIENT, told
        told |= {
            "gen_ai.operation.name": asked.operation,
            "gen_ai.provider.name": asked.provider,
            "gen_ai.request.model": call.model,
        }
        name = f"{asked.operation} {call.model}" if call.model else asked.operation
        return name, SpanKind.CLIENT, told


def _delivery(what: DeliverySeen) -> tuple[str, SpanKind, Told]:
    """A consumer's span where a queue has delivered, else a function's."""
    from opentelemetry.trace import SpanKind

    came, told = what.delivery, _whose(what.whose)
    told |= {"payonce.queue": came.queue, "payonce.delivery.retry_count": came.retry_count}
    name = f"process {what.whose.job}"
    if what.nested or came.queue in _NO_QUEUE:
        return name, SpanKind.INTERNAL, told
    return name, SpanKind.CONSUMER, told | _message(came)


def _message(came: Delivery) -> Told:
    queue, _, message = (came.message or "").rpartition("/")
    told = {
        "messaging.system": _SYSTEMS.get(came.queue, came.queue),
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": redact(message) or None,
    }
    pubsub = came.queue == "pubsub"
    where = "messaging.destination.subscription.name" if pubsub else "messaging.destination.name"
    return told | {where: queue or None}


def _links(carrier: Mapping[str, str]) -> list[Link]:
    """A link to the span that sent the message, by whatever propagator the user has set."""
    if not carrier:
        return []
    from opentelemetry.context import Context
    from opentelemetry.propagate import extract
    from opentelemetry.trace import Link, get_current_span

    sent = get_current_span(extract(carrier, Context())).get_span_context()
    return [Link(sent)] if sent.is_valid else []


def _whose(whose: Whose) -> Told:
    return {
        "payonce.job": whose.job,
        "payonce.run.key": whose.run_key,
        "payonce.tenant": whose.tenant,
        "payonce.attempt": whose.attempt,
    }


def _step(call: Call) -> Told:
    return {
        "payonce.step": call.name,
        "payonce.call.id": call.id,
        "payonce.call.send": call.send,
    }


def _cost(call: Call, name: str) -> Told:
    if call.cost_nanos is None:
        return {}
    return {name: call.cost_nanos / NANOS, "payonce.currency": call.currency}


def _ended(how: CallEnded) -> Told:
    return {
        "payonce.call.state": how.call.state.value,
        "error.type": how.error,
        **_cost(how.call, "payonce.cost"),
    }


def _used(call: Call) -> Told:
    used = tokens(call.usage)
    return {
        "gen_ai.usage.input_tokens": used.input,
        "gen_ai.usage.output_tokens": used.output,
        "gen_ai.usage.cache_read.input_tokens": used.cache_read,
        "gen_ai.usage.cache_write.input_tokens": used.cache_write,
        "gen_ai.usage.reasoning.output_tokens": used.reasoning,
    }


def _tells_tokens(span: Span) -> bool:
    """Whether a span is that of an instrumentation of an SDK, which tells tokens by itself."""
    told: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    operation = told.get("gen_ai.operation.name")
    if operation is not None:
        return operation in _INFERENCE
    return "gen_ai.provider.name" in told or "gen_ai.system" in told


def _answered(call: Call) -> Told:
    """Who answered, and the cost in the words that the GenAI conventions are about to get."""
    told: Told = {"gen_ai.response.model": call.model, **_said(call)}
    if call.cost_nanos is None:
        return told
    return told | {
        "gen_ai.usage.cost.amount": call.cost_nanos / NANOS,
        "gen_ai.usage.cost.currency": call.currency,
        "gen_ai.usage.cost.source": "local",
    }


def _said(call: Call) -> Told:
    """The answer's id and why it ended; nothing of what it says."""
    if call.said is None:
        return {}
    return {
        "gen_ai.response.id": call.said.id,
        "gen_ai.response.finish_reasons": call.said.finishes or None,
    }


def _outcome(how: Outcome) -> Told:
    return {
        "payonce.verdict": how.verdict,
        "payonce.failure.kind": how.kind,
        "payonce.failure.evidence": how.evidence,
        "payonce.failure.fingerprint": how.fingerprint,
        "payonce.stop": how.stop,
        "payonce.budget": how.budget,
        "error.type": how.error,
    }


def _given(told: Told) -> Told:
    """Attributes without those that are not there."""
    return {name: value for name, value in told.items() if value is not None}
