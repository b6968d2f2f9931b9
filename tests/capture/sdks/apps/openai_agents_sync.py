"""A program over openai-agents that has a process of its own, for it makes its own event loop."""

from __future__ import annotations

from typing import Any

from agents import Agent, Runner, set_tracing_disabled
from tests.capture.sdks.task import At

set_tracing_disabled(True)


def run_sync(at: At) -> Any:
    return Runner.run_sync(Agent(name="Author", model="gpt-4o-mini"), at.prompt).final_output
