"""Edge, inside `capture`: what a captured call cost, into its receipt.

The price lists are big: they are read by a thread of their own while the first call is on its way.
What they need of packages that others use, too, is imported with the capture.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
from contextlib import suppress
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from payonce.capture.answers import Read
from payonce.capture.drawn import Drawn, kept
from payonce.errors import PriceUnknown
from payonce.model import Receipt
from payonce.money import Money
from payonce.pricing import NO_USAGE, Priced, Prices
from payonce.redact import redact
from payonce.scope import RunScope
from payonce.step import Asked, Ticket

ASK_FOR_USAGE = (
    'a stream of OpenAI\'s chat tells it if asked with stream_options={"include_usage": True}'
)
_MOST_TOLD = 200
_SHARED = ("pydantic", "httpx2")
_FORK_WAITS = 10.0
"""Seconds that a fork waits for the lists, at most: a child can't end an import of its parent's."""

_log = logging.getLogger("payonce")
_lock = threading.Lock()
_told: WeakKeyDictionary[Prices, set[tuple[str, str]]] = WeakKeyDictionary()
_warming: list[threading.Thread] = []


def receipt(scope: RunScope, ticket: Ticket, read: Read) -> Receipt:
    """The receipt of an answer, with what the call cost as far as that is known."""
    priced = _price(scope, ticket, read)
    if priced is None:
        return read.receipt(kept(ticket))
    if priced.money is None:
        _tell(scope, ticket, read.seen.model or ticket.call.model or "?", priced.why or "")
    return read.receipt(kept(ticket), priced.money)


def bounded(scope: RunScope, asked: Asked) -> Asked:
    """The call with what it costs at most, which is worked out where a budget holds for it."""
    prices, request = _prices(scope), asked.request
    if prices is None or not isinstance(request, Drawn):
        return asked

    def ceiling() -> Money | PriceUnknown | None:
        at = scope.journal.now()
        why = prices.unknown(request.provider, asked.model, at=at, host=request.host)
        if why is not None:
            return PriceUnknown(asked.name, redact(asked.model or "?"), why)
        return request.ceiling(prices, asked.model, at)

    return replace(asked, ceiling=ceiling)


def prepare() -> None:
    """Import what the price lists need of others' packages, here and now.

    A thread must not: OpenAI's SDK (2.x) and others look for these in `sys.modules`, and would
    find them half imported.
    """
    if importlib.util.find_spec("genai_prices") is None:
        return
    for name in _SHARED:
        if name not in sys.modules:
            with suppress(ImportError):
                importlib.import_module(name)


def warm(scope: RunScope) -> None:
    """Read the price lists beside the call that is about to be sent; only the first time."""
    prices = _prices(scope)
    if prices is None or _warming:
        return
    with _lock:
        if not _warming:
            thread = threading.Thread(target=prices.warm, name="payonce-prices", daemon=True)
            _warming.append(thread)
            try:
                thread.start()
            except RuntimeError:  # no thread to be had just now: the call goes out all the same
                _warming.remove(thread)


def _price(scope: RunScope, ticket: Ticket, read: Read) -> Priced | None:
    prices, request = _prices(scope), ticket.asked.request
    if prices is None or not isinstance(request, Drawn):
        return None
    priced = None
    for model in dict.fromkeys((read.seen.model, ticket.call.model)):
        try:
            priced = prices.price(
                request.provider,
                model,
                read.seen.used,
                at=ticket.call.started_at,
                host=request.host,
            )
        except Exception:  # an odd usage must not cost the receipt
            _log.exception("the cost of %s can't be told", ticket.call.name)
            return None
        if priced.money is not None:
            break
    return priced


def _prices(scope: RunScope) -> Prices | None:
    prices = getattr(scope.app, "prices", None)
    return prices if isinstance(prices, Prices) else None


def _tell(scope: RunScope, ticket: Ticket, model: str, why: str) -> None:
    prices, model = _prices(scope), redact(model)
    assert prices is not None
    with _lock:
        told = _told.setdefault(prices, set())
        if (model, why) in told or len(told) >= _MOST_TOLD:
            return
        told.add((model, why))
    remedy = f'app.prices.add("{model}", …) tells its price'
    _log.warning(
        "the cost of %s (model %s) is unknown, because %s. It is counted apart, never as nothing; "
        "%s (docs/prices.md).",
        ticket.call.name,
        model,
        why,
        ASK_FOR_USAGE if why == NO_USAGE else remedy,
    )


def _before_fork() -> None:
    for thread in _warming:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(_FORK_WAITS)


os.register_at_fork(before=_before_fork)
