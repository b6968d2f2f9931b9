"""Edge, inside `otel`: the instruments, and what is counted by what.

Run keys, fingerprints and the paths of requests are on spans alone: each value of an attribute of a
metric is a series of its own, for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.model import Call, CallState
from payonce.money import NANOS
from payonce.otel.genai import GenAI, described, host_of
from payonce.otel.usage import tokens
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
    from opentelemetry.metrics import Meter

By = dict[str, Any]

# Boundaries that the GenAI conventions give.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(float(4**n) for n in range(14))
_LONG = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Seconds of an attempt, which may be a batch of hours."""


class Metrics:
    """Counts what is observed."""

    def __init__(self, meter: Meter, *, gen_ai: bool, tenants: bool) -> None:
        self._gen_ai, self._tenants = gen_ai, tenants
        self._payonce(meter)
        self._conventional(meter)

    def _payonce(self, meter: Meter) -> None:
        count = meter.create_counter
        self._deliveries = count("payonce.deliveries", "{delivery}", "Deliveries, by verdict.")
        self._parked = count("payonce.runs.parked", "{run}", "Runs that an attempt has parked.")
        self._stops = count(
            "payonce.stops", "{attempt}", "Attempts ended from the inside, by what stopped them."
        )
        self._calls = count("payonce.calls", "{call}", "Physical sends, by how they ended.")
        self._replays = count("payonce.replays", "{call}", "Receipts handed out, nothing sent.")
        self._rejections = count("payonce.rejections", "{call}", "Paid answers that were rejected.")
        self._unpriced = count(
            "payonce.calls.unpriced", "{call}", "Paid calls whose cost is not known."
        )
        money = "{currency}"
        self._cost = count("payonce.cost", money, "What calls have cost, where it is known.")
        self._saved = count("payonce.cost.replayed", money, "What replayed receipts had cost.")
        self._waste = count("payonce.cost.rejected", money, "What rejected answers had cost.")
        self._attempt = meter.create_histogram(
            "payonce.attempt.duration",
            "s",
            "How long attempts work, by verdict.",
            explicit_bucket_boundaries_advisory=_LONG,
        )

    def _conventional(self, meter: Meter) -> None:
        """The names of the GenAI conventions; `token.usage` is the one that dashboards know."""
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._token_usage = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._tokens = {
            name: meter.create_counter(f"gen_ai.client.inference.usage.{name}", "{token}", said)
            for name, said in (
                ("input_tokens", "Input tokens used, those from a cache included."),
                ("output_tokens", "Output tokens used, reasoning included."),
                ("cache_read.input_tokens", "Input tokens read from a provider's cache."),
                ("cache_write.input_tokens", "Input tokens written to a provider's cache."),
                ("reasoning.output_tokens", "Output tokens used for reasoning."),
            )
        }

    def ended(self, what: Begun, how: Ended, seconds: float, context: Context) -> None:
        """Something is over; it took so many seconds."""
        match what, how:
            case DeliverySeen(whose), Outcome():
                by = self._whose(whose) | {"payonce.queue": what.delivery.queue}
                self._deliveries.add(1, by | _verdict(how))
            case AttemptSeen(whose), Outcome():
                self._attempted(self._whose(whose), how, seconds, context)
            case CallSeen(whose), CallEnded():
                self._called(self._whose(whose), what.call, how, seconds, context)

    def note(self, what: CallSeen, word: Word) -> None:
        """Something is told of a call that is not made now."""
        by, call = self._whose(what.whose) | _asked(what.call), what.call
        match word:
            case "replayed":
                self._replays.add(1, by)
                _money(self._saved, call, by)
            case "rejected":
                self._rejections.add(1, by)
                _money(self._waste, call, by)
            case "lost":
                self._sent(call, self._whose(what.whose), CallState.IN_DOUBT, None)
            case "found":
                self._paid(call, by, encloses=what.encloses)

    def _attempted(self, by: By, how: Outcome, seconds: float, context: Context) -> None:
        failed = by | {"payonce.failure.kind": how.kind} if how.kind else by
        self._attempt.record(seconds, failed | _verdict(how), context)
        if how.verdict == "park":
            self._parked.add(1, failed)
        if how.stop is not None:
            budget = {"payonce.budget": how.budget} if how.budget else {}
            self._stops.add(1, by | budget | {"payonce.stop": how.stop})

    def _called(
        self, by: By, begun: Call, how: CallEnded, seconds: float, context: Context
    ) -> None:
        call = how.call
        if not how.encloses:
            self._sent(begun, by, call.state, context)
        if call.state is CallState.PAID:
            self._paid(call, by | _asked(call), encloses=how.encloses)
        if self._gen_ai and (asked := described(begun)) is not None:
            self._conventionally(asked, begun, how, seconds, context)

    def _sent(self, call: Call, by: By, state: CallState, context: Context | None) -> None:
        by = by | _asked(call, "gen_ai.request.model") | {"payonce.call.state": state.value}
        self._calls.add(1, by, context)

    def _paid(self, call: Call, by: By, *, encloses: bool) -> None:
        if call.cost_nanos is not None:
            _money(self._cost, call, by)
        elif not encloses:
            self._unpriced.add(1, by)

    def _conventionally(
        self, asked: GenAI, begun: Call, how: CallEnded, seconds: float, context: Context
    ) -> None:
        by: By = {
            "gen_ai.operation.name": asked.operation,
            "gen_ai.provider.name": asked.provider,
        }
        if begun.model:
            by["gen_ai.request.model"] = begun.model
        if how.call.usage is not None and how.call.model:
            by["gen_ai.response.model"] = how.call.model
        failed = {"error.type": how.error} if how.error else {}
        self._duration.record(seconds, by | failed, context)
        used = tokens(how.call.usage)
        for kind, number in (("input", used.input), ("output", used.output)):
            if number is not None:
                self._token_usage.record(number, by | {"gen_ai.token.type": kind}, context)
        by["gen_ai.token.modality"] = "unknown"
        for name, number in (
            ("input_tokens", used.input),
            ("output_tokens", used.output),
            ("cache_read.input_tokens", used.cache_read),
            ("cache_write.input_tokens", used.cache_write),
            ("reasoning.output_tokens", used.reasoning),
        ):
            if number is not None:
                self._tokens[name].add(number, by, context)

    def _whose(self, whose: Whose) -> By:
        by: By = {"payonce.job": whose.job}
        if self._tenants and whose.tenant is not None:
            by["payonce.tenant"] = whose.tenant
        return by


def _asked(call: Call, model: str = "gen_ai.response.model") -> By:
    """By what calls are told apart: a provider and a model, another host, or a step."""
    if call.source != "capture":
        return {"payonce.step": call.name}
    if (asked := described(call)) is None:
        return {"server.address": host_of(call)}
    by = {"gen_ai.provider.name": asked.provider, "gen_ai.operation.name": asked.operation}
    return by | {model: call.model} if call.model else by


def _verdict(how: Outcome) -> By:
    """The word that a queue is told, or that nothing was told."""
    return {"payonce.verdict": how.verdict or "none"}


def _money(counter: Any, call: Call, by: By) -> None:
    if call.cost_nanos is not None:
        counter.add(call.cost_nanos / NANOS, by | {"payonce.currency": call.currency})
