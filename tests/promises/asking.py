"""Short ways to ask for a text, and to take a delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

import payonce


def ask(gpt: openai.OpenAI, label: str) -> str:
    """The text for a label, by OpenAI's SDK."""
    return gpt.responses.create(model="gpt-5", input=f"[{label}] of a course").output_text


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
