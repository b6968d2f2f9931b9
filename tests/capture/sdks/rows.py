"""The table of SDKs: one row is a client in one version, and one way to call with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.capture.sdks.environments import DEVELOPERS, pinned

APPS = Path(__file__).resolve().parent / "apps"


_OVER = {
    "boto3": ("urllib3",),
    "google-genai": ("aiohttp", "httpx2"),
    "instructor": ("openai",),
    "langchain-anthropic": ("anthropic",),
    "langchain-openai": ("openai",),
    "litellm": ("openai",),
    "llama-index-llms-openai": ("openai",),
    "openai-agents": ("openai",),
    "pydantic-ai-slim": ("openai",),
    "requests": ("urllib3",),
}


@dataclass(frozen=True)
class Retries:
    """What a client does by itself, without payonce.

    `timeout` and `drop` are the generations that the provider bills for one logical call whose
    answer doesn't arrive in time, or whose connection is dropped after it was billed; `again` is
    whether 429 and 503 are tried again.
    """

    timeout: int
    drop: int
    again: bool


@dataclass(frozen=True)
class Row:
    """A program, `module.function` in `apps/`, run with a package's version of an environment.

    `bills` is how many calls it pays for.
    """

    environment: str
    package: str
    program: str
    bills: int = 1
    retries: Retries | None = None

    @property
    def module(self) -> str:
        """The file that the program is in."""
        return self.program.partition(".")[0]

    @property
    def call(self) -> str:
        """The way to call, in words."""
        name = self.program.partition(".")[2]
        name = name.removeprefix("a") if self.awaits and name.startswith("a") else name
        return name.replace("_", " ")

    @property
    def awaits(self) -> bool:
        """Whether it is asynchronous."""
        return isinstance(
            _functions(self.module)[self.program.partition(".")[2]], ast.AsyncFunctionDef
        )

    @property
    def streams(self) -> bool:
        """Whether its answer is a stream."""
        return "stream" in self.program or "events" in self.program

    @property
    def calls_back(self) -> bool:
        """Whether the provider's first answer calls its tool `save`, so that it asks again."""
        return self.program.endswith(".run_tools")

    @property
    def version(self) -> str:
        """The package's version, as the environment pins it."""
        return pinned(self.environment)[self.package]

    @property
    def over(self) -> str:
        """What it calls over, where that makes a difference, with its version."""
        pins = pinned(self.environment)
        found = (f"{name} {pins[name]}" for name in _OVER.get(self.package, ()) if name in pins)
        return next(found, "")

    def label(self, case: str = "") -> str:
        """What the provider counts its calls by, in one case."""
        parts = (self.environment[:9], *self.program.split("."), case)
        return "-".join(part.replace("_", "-").replace("'", "") for part in parts if part)


@cache
def _functions(module: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse((APPS / f"{module}.py").read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds)}


# What each client does by itself, measured in the same run as what it does under payonce.
OF_STAINLESS = Retries(timeout=3, drop=3, again=True)
NONE = Retries(timeout=1, drop=1, again=False)


def _rows(
    environments: str,
    package: str,
    module: str,
    calls: str,
    retries: dict[str, Retries] | None = None,
    bills: dict[str, int] | None = None,
) -> Iterator[Row]:
    retries, bills = retries or {}, bills or {}
    for environment in environments.split():
        for call in calls.split():
            program = f"{module}.{call}"
            yield Row(environment, package, program, bills.get(call, 1), retries.get(call))


ROWS = (
    *_rows(
        "newest mixed",
        "openai",
        "openai",
        "chat achat achat_over_aiohttp chat_stream achat_stream achat_stream_over_aiohttp"
        " chat_tools chat_structured responses aresponses responses_stream aresponses_stream"
        " embeddings images transcription speech speech_streamed",
        {"chat": OF_STAINLESS, "achat": OF_STAINLESS, "achat_over_aiohttp": OF_STAINLESS},
    ),
    *_rows(
        "newest",
        "anthropic",
        "anthropic",
        "message amessage amessage_over_aiohttp message_stream amessage_stream message_events"
        " amessage_stream_over_aiohttp message_tools bedrock bedrock_stream abedrock_stream",
        {
            "message": OF_STAINLESS,
            "amessage": OF_STAINLESS,
            "amessage_over_aiohttp": OF_STAINLESS,
            "bedrock": OF_STAINLESS,
        },
    ),
    *_rows(
        "older",
        "anthropic",
        "anthropic",
        "message amessage message_stream amessage_stream message_events message_tools",
        {"message": OF_STAINLESS, "amessage": OF_STAINLESS},
    ),
    *_rows(
        "newest",
        "google-genai",
        "google_genai",
        "generate agenerate generate_stream agenerate_stream embed structured generate_retrying",
        {
            "generate": NONE,
            "agenerate": Retries(timeout=1, drop=2, again=False),
            "generate_retrying": Retries(timeout=3, drop=1, again=True),
        },
    ),
    *_rows(
        "older",
        "google-genai",
        "google_genai",
        "generate agenerate generate_stream agenerate_stream embed structured",
        {"generate": NONE, "agenerate": NONE},
    ),
    *_rows(
        "newest",
        "mistralai",
        "mistral",
        "chat achat chat_stream achat_stream embeddings",
        {"chat": NONE, "achat": NONE},
    ),
    *_rows(
        "newest",
        "cohere",
        "cohere",
        "chat achat chat_stream achat_stream embed rerank",
        {"chat": Retries(1, 1, True)},
    ),
    *_rows(
        "newest",
        "groq",
        "groq",
        "chat achat chat_stream transcription",
        {"chat": OF_STAINLESS, "achat": OF_STAINLESS},
    ),
    *_rows(
        "newest",
        "together",
        "together",
        "chat achat chat_stream embeddings images",
        {"chat": OF_STAINLESS},
    ),
    *_rows(
        "newest older",
        "boto3",
        "boto3",
        "converse converse_stream invoke_model invoke_model_stream",
        {"converse": OF_STAINLESS, "invoke_model": OF_STAINLESS},
    ),
    *_rows(
        "newest mixed",
        "langchain-openai",
        "langchain_openai",
        "invoke stream ainvoke astream batch tools structured embeddings",
        {"invoke": OF_STAINLESS, "ainvoke": OF_STAINLESS},
        {"batch": 3},
    ),
    *_rows(
        "newest",
        "langchain-anthropic",
        "langchain_anthropic",
        "invoke stream ainvoke astream batch tools structured",
        {"invoke": OF_STAINLESS},
        {"batch": 3},
    ),
    *_rows(
        "newest mixed",
        "pydantic-ai-slim",
        "pydantic_ai",
        "run_sync run run_responses run_stream run_structured run_tools",
        {"run": OF_STAINLESS},
        {"run_tools": 2},
    ),
    *_rows("newest", "pydantic-ai-slim", "pydantic_ai", "run_anthropic"),
    *_rows(
        "newest mixed",
        "openai-agents",
        "openai_agents",
        "run run_chat run_streamed run_tools",
        {"run_chat": OF_STAINLESS},
        {"run_tools": 2},
    ),
    *_rows("newest mixed", "openai-agents", "openai_agents_sync", "run_sync"),
    *_rows(
        "mixed",
        "litellm",
        "litellm",
        "completion completion_stream acompletion acompletion_stream anthropic anthropic_stream"
        " aanthropic aanthropic_stream bedrock bedrock_stream abedrock abedrock_stream embedding"
        " completion_retrying acompletion_retrying anthropic_retrying",
        {
            "completion": OF_STAINLESS,
            "acompletion": OF_STAINLESS,
            "completion_retrying": Retries(5, 5, True),
            "acompletion_retrying": Retries(5, 5, True),
            "anthropic": NONE,
            "aanthropic": NONE,
            "bedrock": NONE,
            "anthropic_retrying": Retries(3, 3, True),
        },
    ),
    *_rows(
        "mixed",
        "llama-index-llms-openai",
        "llama_index",
        "chat stream_chat achat astream_chat complete",
        {"chat": Retries(timeout=12, drop=12, again=True)},
    ),
    *_rows(
        "instructor",
        "instructor",
        "instructor",
        "create acreate create_asking_again create_anthropic",
        {"create": OF_STAINLESS},
        {"create_asking_again": 2},
    ),
    *_rows(
        "newest",
        "requests",
        "plain",
        "requests requests_session requests_stream",
        {"requests": NONE},
        {"requests_session": 2},
    ),
    *_rows("newest", "urllib3", "plain", "urllib3"),
    *_rows("newest", "httpx", "plain", "httpx ahttpx"),
    *_rows("newest", "httpx2", "plain", "httpx2"),
    *_rows("newest", "aiohttp", "plain", "over_aiohttp"),
    *_rows("older", "httpx2", "plain", "httpx2_as_httpx"),
)
CORE = tuple(
    replace(row, environment=DEVELOPERS)
    for row in ROWS
    if row.environment == "newest"
    and row.module in ("openai", "anthropic", "google_genai", "boto3", "plain")
)


def of(row: Row) -> tuple[str, str]:
    """The processes that a row shares with the others of its file."""
    return row.environment, row.module
