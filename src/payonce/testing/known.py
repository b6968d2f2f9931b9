"""Testing: the refusals that each provider is known to give, and what asking again would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from payonce.testing.faults import Fault, gateway, insufficient_quota, status

Again = Literal["never", "later", "doubt"]


@dataclass(frozen=True, slots=True)
class KnownRefusal:
    """A refusal in one provider's words.

    `again` says what sending the request once more does: it never helps until a person acts, it
    helps `later` and nothing was billed, or the first may have been billed (`doubt`; its fault
    bills, as the worst case).
    """

    provider: str
    name: str
    fault: Fault
    again: Again


def refusals(provider: str | None = None, again: Again | None = None) -> list[KnownRefusal]:
    """The known refusals, of one provider or all, that bear being asked again in one way or all."""
    return [
        known
        for known in _ALL
        if provider in (None, known.provider) and again in (None, known.again)
    ]


def _never(provider: str, *pairs: tuple[int, str | None]) -> list[KnownRefusal]:
    return [
        KnownRefusal(provider, code or str(number), status(number, code=code), "never")
        for number, code in pairs
    ]


def _used_up(provider: str) -> KnownRefusal:
    return KnownRefusal(provider, "insufficient_quota", insufficient_quota(), "never")


def _later(provider: str, *pairs: tuple[int, str | None]) -> list[KnownRefusal]:
    return [
        KnownRefusal(
            provider, code or str(number), status(number, code=code, retry_after=0.01), "later"
        )
        for number, code in pairs
    ]


def _doubt(provider: str, *numbers: int) -> list[KnownRefusal]:
    known = [
        KnownRefusal(provider, str(n), status(n, billed=True, retry_after=0.01), "doubt")
        for n in numbers
    ]
    return [*known, KnownRefusal(provider, "gateway 502", gateway(502), "doubt")]


_ALL = [
    _used_up("openai"),
    *_never("openai", (429, "credit_balance_exhausted"), (429, "billing_hard_limit_reached")),
    *_never("openai", (429, "organization_spend_limit_exceeded")),
    *_never("openai", (429, "project_spend_limit_exceeded")),
    *_never("openai", (429, "organization_usage_limit_exceeded")),
    *_never("openai", (400, "context_length_exceeded"), (401, None), (403, None), (404, None)),
    *_later("openai", (429, None), (429, "slow_down"), (503, None)),
    *_doubt("openai", 408, 500, 502, 504),
    _used_up("anthropic"),
    *_never("anthropic", (429, "enforced_spend_limit_reached")),
    *_never("anthropic", (429, "contract_spend_limit_reached"), (402, None)),
    *_never("anthropic", (400, None), (401, None), (403, None), (404, None), (413, None)),
    *_later("anthropic", (429, None), (429, "ramp_limit_exceeded"), (529, None)),
    *_doubt("anthropic", 500, 504),
    _used_up("gemini"),
    *_never("gemini", (429, "PerDay"), (400, "API_KEY_INVALID"), (400, "FAILED_PRECONDITION")),
    *_never("gemini", (400, None), (401, None), (403, None), (404, None)),
    *_later("gemini", (429, None), (503, None)),
    *_doubt("gemini", 500, 504),
    _used_up("bedrock"),
    *_never("bedrock", (400, None), (403, None), (404, None), (403, "ExpiredTokenException")),
    *_later("bedrock", (429, None), (429, "ModelNotReadyException"), (503, None)),
    *_doubt("bedrock", 408, 424, 500),
    _used_up("mistral"),
    *_never("mistral", (400, None), (401, None), (404, "1500")),
    *_later("mistral", (429, None), (503, None)),
    *_doubt("mistral", 500),
    _used_up("cohere"),
    *_never("cohere", (429, "trial_limit"), (400, None), (401, None), (404, None)),
    *_later("cohere", (429, None), (503, None)),
    *_doubt("cohere", 500, 504),
    _used_up("groq"),
    *_never("groq", (400, None), (401, None), (404, None), (413, None)),
    *_later("groq", (429, None), (498, None), (503, None)),
    *_doubt("groq", 500, 502),
    _used_up("together"),
    *_never("together", (400, None), (401, None), (404, None)),
    *_later("together", (429, None), (503, None)),
    *_doubt("together", 500, 504),
    _used_up("rest"),
    *_never("rest", (400, None), (401, None), (404, None)),
    *_later("rest", (429, None), (503, None)),
    *_doubt("rest", 500, 504),
]
