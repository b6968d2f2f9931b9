"""Short ways to ask, and to take a delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import payonce

MODEL, CLAUDE = "gpt-4o-mini", "claude-opus-5"
WORDS = "[outline] A secret plan of the customer's."


def chat(client: Any, prompt: str = WORDS, **more: Any) -> Any:
    """A chat completion; awaitable if the client is."""
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def message(client: Any, prompt: str = WORDS, **more: Any) -> Any:
    """A message of Anthropic's."""
    messages = [{"role": "user", "content": prompt}]
    return client.messages.create(model=CLAUDE, max_tokens=100, messages=messages, **more)


def outcome(job: Callable[..., Any], *args: Any) -> Any:
    """One delivery: the job's value, or what it raised in the place of one."""
    try:
        return job(*args)
    except payonce.PayonceError as told:
        return told


def word(job: Callable[..., Any], *args: Any) -> str:
    """One delivery: `done`, or the name of what was raised."""
    told = outcome(job, *args)
    return type(told).__name__ if isinstance(told, payonce.PayonceError) else "done"
