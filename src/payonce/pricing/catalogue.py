"""Decision, inside `pricing`: the public price lists, as the package genai-prices has them.

It is imported when a price is first asked for (it has 2,300 models), and asks no network: its own
`UpdatePrices` does, if the user starts it, and then what it found is what is used here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from payonce.pricing.rates import Rate, Rates
from payonce.pricing.usage import STANDARD, Unpriced

_WIRES = {"gemini": "google", "vertex": "google", "bedrock": "aws", "xai": "x-ai"}
_UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "cache_image_read_mtok": "cached_image",
    "output_image_mtok": "output_image",
    "input_video_mtok": "input_video",
    "output_video_mtok": "output_video",
    "input_tool_mtok": "input_tool",
    "web_searches_kcount": "web_searches",
    "storage_searches_kcount": "storage_searches",
    "code_executions_kcount": "code_executions",
    "rerank_searches_kcount": "rerank_searches",
    "audio_hours": "seconds",
}
_PER = {"mtok": 1_000_000, "kcount": 1000, "hours": 3600}
_GATEWAYS = ("openai", "litellm")
"""Who may sell the models of others, under names like "anthropic/claude-sonnet-4"."""
_ONE_PRICE_FOR_ALL = "google"
"""Who names a price for audio only where it differs from that of text."""
_TELLS = ("openrouter", "perplexity")
"""Who tells in each usage what the call cost."""
_held: dict[str, Any] = {}


def warm() -> None:
    """Import the lists, so that the first receipt needn't wait for it."""
    _snapshot()


def rates_at(provider: str | None, host: str | None, model: str, tier: str, at: float) -> Rates:
    """A model's rates at a time in seconds since the epoch.

    Raises:
        Unpriced: the provider or the model is in no list, or the tier has no price there.
    """
    _snapshot()
    return _rates(provider, host, model, tier, int(at // 60))


def tiers_of(provider: str | None, host: str | None, model: str) -> frozenset[str]:
    """The service tiers for which a model has a price besides the standard one."""
    _snapshot()
    seller, found = _find(provider, host, model)
    return frozenset(_tier(each.when) for each in _variants(seller, found)) - {""}


@lru_cache(maxsize=2048)
def _rates(provider: str | None, host: str | None, model: str, tier: str, minute: int) -> Rates:
    seller, found = _find(provider, host, model)
    at = datetime.fromtimestamp(minute * 60, UTC)
    context = _context(tier)
    if context:
        fitting = [each for each in _variants(seller, found) if each.when == context]
        if not any(each.constraint is None or each.constraint.active(at) for each in fitting):
            raise Unpriced(f"the price of its tier {tier} is not known")
    return _read(found.get_prices(at, context), seller.id)


@lru_cache(maxsize=2048)
def _find(provider: str | None, host: str | None, model: str) -> tuple[Any, Any]:
    """The seller and its model."""
    _refuse_unlisted_fees(model)
    model = model.rpartition("/")[2] if model.startswith("arn:") else model
    snapshot = _snapshot()
    if provider is None and host is None:
        try:
            seller, found = snapshot.find_provider_model(model, None, None, None)
        except LookupError:
            raise Unpriced("no price list has the model") from None
        return seller, found
    seller = _at(snapshot, host)
    candidates = [(seller, model)]
    if seller is None and provider is not None:
        candidates = [(_named(snapshot, _WIRES.get(provider, provider)), model)]
        before, slash, after = model.partition("/")
        if slash and provider in _GATEWAYS:
            candidates.append((_named(snapshot, before), after))
    for seller, name in candidates:
        found = seller and seller.find_model(name, all_providers=snapshot.providers)
        if found:
            return seller, found
    raise Unpriced("no price list has the model")


def _at(snapshot: Any, host: str | None) -> Any:
    """Whose host it is, if it is one of theirs."""
    url = f"https://{host}/"
    return next((each for each in snapshot.providers if re.match(each.api_pattern, url)), None)


def _named(snapshot: Any, name: str) -> Any:
    from genai_prices.data_snapshot import find_provider_by_id

    return find_provider_by_id(snapshot.providers, name)


def _variants(seller: Any, found: Any) -> list[Any]:
    """Prices for tiers; a model that another provider lends has none of this one's."""
    if not any(found is each for each in seller.models):
        return []
    return list(found.price_variants or ())


def _context(tier: str) -> dict[str, str]:
    if tier == STANDARD:
        return {}
    kind, colon, word = tier.partition(":")
    if colon:
        return {kind: word}
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier}


def _tier(when: Mapping[str, str]) -> str:
    if len(when) != 1:
        return ""
    ((kind, word),) = when.items()
    if kind in ("service_tier", "processing"):
        return word
    return f"{kind}:{word}"


def _refuse_unlisted_fees(model: str) -> None:
    """OpenAI's models that search for each call bill the search, too; the lists leave it out."""
    if "-search-" in model:
        raise Unpriced("each call of it searches, at a price that no list has")


def _read(prices: Any, seller: str) -> Rates:
    """A list's prices as rates."""
    units: dict[str, Rate] = {}
    call = Decimal(0)
    for key, price in prices.__dict__.items():
        if price is None:
            continue
        if key == "requests_kcount":
            call = price / 1000
        elif key in _UNITS:
            units[_UNITS[key]] = _rate(price, _PER[key.rpartition("_")[2]])
    if seller == _ONE_PRICE_FOR_ALL and "input" in units:
        units.setdefault("input_audio", units["input"])
    if not units:
        raise Unpriced("the price list has the model, but no price for it")
    return Rates(units, "USD", call, told=seller in _TELLS)


def _rate(price: Any, per: int) -> Rate:
    if isinstance(price, Decimal):
        return Rate(price, per)
    return Rate(price.base, per, tuple((tier.start, tier.price) for tier in price.tiers))


def _snapshot() -> Any:
    """The lists as they are now; what was found in older ones is forgotten."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        raise Unpriced("genai-prices is not installed (pip install genai-prices)") from None
    snapshot = get_snapshot()
    if _held.get("snapshot") is not snapshot:
        _find.cache_clear()
        _rates.cache_clear()
        _held["snapshot"] = snapshot
    return snapshot
