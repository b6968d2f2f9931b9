"""Decision: what calls cost: by the user's own prices first, else by the public price lists.

usage      a provider's own usage → counts, each token once (`dialects` has the fields as data)
rates      counts → an amount, exact to the nano
catalogue  the public lists (genai-prices)
own        the user's models, contracts and other billed APIs
ceiling    the most that a request can cost, before it is sent

What is not known stays unknown: there is no guess, and no zero in place of a price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any

from payonce.money import EXACT, Money
from payonce.pricing import catalogue
from payonce.pricing.ceiling import Bounds, bounds_of, tiers_that_may_serve
from payonce.pricing.own import Amount, Own, own_price
from payonce.pricing.rates import Rates
from payonce.pricing.usage import STANDARD, Counts, Unpriced, counts_of, named_tier, told_cost

__all__ = ["NO_USAGE", "Priced", "Prices"]

NO_USAGE = "the answer tells no usage"
STEP = "step"
"""The provider of steps in `app.prices.add`: the price of a function under `@app.step`."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a call cost; where that is not known, `why` says so in a few words."""

    money: Money | None
    why: str | None = None


class Prices:
    """The prices of one app; without any of the user's own, those of the public lists.

    `app.prices.add(…)` and `app.prices(…)` are the same.
    """

    def __init__(self) -> None:
        self._own: list[Own] = []

    def __repr__(self) -> str:
        return f"Prices({len(self._own)} of the user's own)"

    def add(
        self,
        model: str,
        *,
        provider: str | None = None,
        input: Amount | None = None,
        output: Amount | None = None,
        cached: Amount | None = None,
        cache_write: Amount | None = None,
        cache_write_1h: Amount | None = None,
        reasoning: Amount | None = None,
        call: Amount | None = None,
        factor: str | Decimal = "1",
        currency: str | None = None,
    ) -> None:
        """Tell a price of one's own; of several that fit a call, the last one told counts.

        Args:
            model: the model's name as the answer has it, or a pattern: `"gpt-*"`, `"*"`.
            provider: only calls to this provider (`"openai"`), or to this host; `"step"` for
                functions under `@app.step`, whose name is the model. By default any but steps.
            input: for a million tokens that are read: `"2.50 USD"`.
            output: for a million tokens that are written.
            cached: for a million tokens that were read from a cache; by default as `input`.
            cache_write: for a million tokens that were written to a cache; unknown by default.
            cache_write_1h: the same for an hour's cache of Anthropic's; unknown by default.
            reasoning: for a million tokens of reasoning; by default as `output`.
            call: for each call. Where nothing else is given it is all that a call costs.
            factor: a contract's, as decimal text: `"0.85"` is 15 % off. Alone, off the price list.
            currency: that of amounts given without one.

        Raises:
            ConfigError: an amount is none, or they are in several currencies.
        """
        amounts = {
            "input": input,
            "output": output,
            "cached": cached,
            "cache_write": cache_write,
            "cache_write_1h": cache_write_1h,
            "reasoning": reasoning,
        }
        self._own.append(own_price(model, provider, amounts, call, factor, currency))

    __call__ = add

    def cost(
        self,
        provider: str | None,
        model: str | None,
        usage: Mapping[str, Any] | None,
        *,
        at: float,
        tier: str | None = None,
        host: str | None = None,
    ) -> Money | None:
        """What a call cost; None where that is not known.

        Args:
            provider: who answered: `"openai"`, `"anthropic"`, …; None finds it by the model.
            model: the model's name, as the answer has it or as it was asked for.
            usage: the provider's own usage in any of its dialects, or plain counts:
                `input_tokens`, of which `cached_input_tokens` and `cache_write_tokens`, and
                `output_tokens`, of which `reasoning_tokens`.
            at: when it was asked, in seconds since the epoch: prices change.
            tier: how it was served: `"flex"`, `"priority"`, `"batch"`; by default by the usage.
            host: where it was sent, if that is known.
        """
        return self.price(provider, model, usage, at=at, tier=tier, host=host).money

    def price(
        self,
        provider: str | None,
        model: str | None,
        usage: Mapping[str, Any] | None,
        *,
        at: float,
        tier: str | None = None,
        host: str | None = None,
    ) -> Priced:
        """The same, with the reason where it is not known."""
        try:
            with localcontext(EXACT):
                return Priced(_countable(self._cost(provider, model, usage, at, tier, host)))
        except Unpriced as why:
            return Priced(None, str(why))

    def ceiling(
        self,
        provider: str | None,
        model: str | None,
        request: Mapping[str, Any] | None,
        size: int,
        *,
        at: float,
        host: str | None = None,
    ) -> Money | None:
        """The most that a call can cost, before it is sent; None where it has no known limit.

        Args:
            provider: as for `cost`, as are `model`, `at` and `host`.
            model: the model that is asked for.
            request: the request's JSON object.
            size: its length in bytes: no token of a text is shorter than one.
            at: when it is asked, in seconds since the epoch.
            host: where it is sent.
        """
        try:
            with localcontext(EXACT):
                return _countable(self._most(provider, model, request, size, at, host))
        except Unpriced:
            return None

    def unknown(
        self, provider: str | None, model: str | None, *, at: float, host: str | None = None
    ) -> str | None:
        """Why the cost of a call can't be known, whatever it will have used; None where it can."""
        try:
            own = self._fitting(provider, host, model)
            self._rates(own, provider, host, model, STANDARD, at)
        except Unpriced as why:
            return str(why)
        return None

    def step(self, name: str) -> Money | None:
        """What a step costs whose own `cost=` says nothing, as the user told it."""
        own = self._fitting(STEP, None, name)
        if own is None or own.rates is None or not own.rates.flat:
            return None
        with localcontext(EXACT):
            return own.rates.times(own.factor).cost(Counts({}, 0))

    def warm(self) -> None:
        """Read the public lists, which takes some tenths of a second, once."""
        try:
            catalogue.warm()
        except Unpriced:  # each price that is asked for says so
            return

    def _cost(
        self,
        provider: str | None,
        model: str | None,
        usage: Mapping[str, Any] | None,
        at: float,
        tier: str | None,
        host: str | None,
    ) -> Money:
        own = self._fitting(provider, host, model)
        if own is not None and own.rates is not None and own.rates.flat:
            return own.rates.times(own.factor).cost(Counts({}, 0))
        if usage is None:
            raise Unpriced(NO_USAGE)
        told = told_cost(usage) if own is None else None
        if told is not None and self._is_told(provider, host, model, at):
            return Money.of(told, rounded=True)
        counts = counts_of(usage)
        if tier is not None:
            counts = replace(counts, tier=named_tier(tier))
        return self._rates(own, provider, host, model, counts.tier, at).cost(counts)

    def _most(
        self,
        provider: str | None,
        model: str | None,
        request: Mapping[str, Any] | None,
        size: int,
        at: float,
        host: str | None,
    ) -> Money:
        own = self._fitting(provider, host, model)
        if own is not None and own.rates is not None and own.rates.flat:
            return own.rates.times(own.factor).cost(Counts({}, 0))
        bounds = bounds_of(request, size)
        return max(
            bounds.cost(self._rates(own, provider, host, model, tier, at))
            for tier in self._tiers(own, provider, host, model, bounds)
        )

    def _fitting(self, provider: str | None, host: str | None, model: str | None) -> Own | None:
        if not self._own:
            return None
        own = (each for each in reversed(self._own) if each.fits(provider, host, model))
        return next((each for each in own if provider != STEP or each.provider == STEP), None)

    def _is_told(
        self, provider: str | None, host: str | None, model: str | None, at: float
    ) -> bool:
        """Whether a seller's own word on a cost is taken: it bills so, or no list has the model."""
        try:
            return self._rates(None, provider, host, model, STANDARD, at).told
        except Unpriced:
            return True

    def _tiers(
        self,
        own: Own | None,
        provider: str | None,
        host: str | None,
        model: str | None,
        bounds: Bounds,
    ) -> frozenset[str]:
        if own is not None and own.rates is not None:
            return frozenset({STANDARD})
        priced = catalogue.tiers_of(provider, host, model or "")
        return tiers_that_may_serve(bounds.tier, priced)

    def _rates(
        self,
        own: Own | None,
        provider: str | None,
        host: str | None,
        model: str | None,
        tier: str,
        at: float,
    ) -> Rates:
        if own is not None and own.rates is not None:
            return own.rates.times(own.factor)
        if not model:
            raise Unpriced("the answer names no model")
        rates = catalogue.rates_at(provider, host, model, tier, at)
        return rates if own is None or own.factor == 1 else rates.times(own.factor)


def _countable(money: Money) -> Money:
    if not money.is_countable:
        raise Unpriced("it would be more than a journal can count")
    return money
