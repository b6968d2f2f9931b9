"""Reading: what is known of SDKs and queues: how a call is captured, how often each repeats it.

Sources: the packages' own code and documentation, and runs of them against a provider that counts
what it bills (November 2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Captured = Literal["yes", "with hosts="]


@dataclass(frozen=True, slots=True)
class Sdk:
    """What `app.capture()` sees of an SDK, and how often one call of it is sent by default.

    `captured` is "yes" where payonce's own tests run the SDK (`docs/sdks.md`), "with hosts=" where
    the host that bills has to be named in `capture`.
    `sends` counts the first send too; None where another package in this list sends for it.
    """

    name: str
    captured: Captured
    hook: str
    sends: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """How often a queue delivers a message whose handler fails each time.

    `deliveries` is the default, None for no limit; `asked` is how to ask for another number.
    """

    name: str
    deliveries: int | None
    asked: str


_CLIENT = "httpx client"
_TIMEOUTS = "a read timeout is sent again too: each send may be billed"
_OWN_HOSTS = "LLM providers' own hosts need no naming"
_VIA_OPENAI = "sends through openai"
_VIA_ANTHROPIC = "sends through anthropic"

SDKS = (
    Sdk("openai", "yes", _CLIENT, 3, f"max_retries=2: {_TIMEOUTS}; WebSockets are not seen"),
    Sdk("anthropic", "yes", _CLIENT, 3, f"max_retries=2: {_TIMEOUTS}"),
    Sdk("httpx", "with hosts=", _CLIENT, 1, _OWN_HOSTS),
    Sdk("httpx2", "with hosts=", _CLIENT, 1, _OWN_HOSTS),
    Sdk("google-genai", "yes", f"{_CLIENT}, aiohttp", 1, "async: 2 after a disconnect"),
    Sdk("mistralai", "yes", _CLIENT, 1, "retries only where retry_config is given"),
    Sdk("cohere", "yes", _CLIENT, 3, "does not resend where the answer was cut"),
    Sdk("groq", "yes", _CLIENT, 3, f"max_retries=2: {_TIMEOUTS}"),
    Sdk("together", "yes", _CLIENT, 3, f"max_retries=2: {_TIMEOUTS}"),
    Sdk("litellm", "yes", _CLIENT, 3, "num_retries= puts a loop of its own around these"),
    Sdk("boto3", "yes", "botocore", 3, "bedrock-runtime; botocore's mode is standard"),
    Sdk("langchain-openai", "yes", _CLIENT, None, _VIA_OPENAI),
    Sdk("langchain-anthropic", "yes", _CLIENT, None, _VIA_ANTHROPIC),
    Sdk("pydantic-ai-slim", "yes", _CLIENT, None, "sends through the provider's own SDK"),
    Sdk("instructor", "yes", _CLIENT, None, "asks again where an answer doesn't validate"),
    Sdk("openai-agents", "yes", _CLIENT, None, f"{_VIA_OPENAI}; WebSockets are not seen"),
    Sdk("llama-index-llms-openai", "yes", _CLIENT, None, f"{_VIA_OPENAI}, and repeats around it"),
    Sdk("requests", "with hosts=", "urllib3", 1, "urllib3 2 and newer"),
    Sdk("aiohttp", "with hosts=", "aiohttp", 1, _OWN_HOSTS),
)

QUEUES = (
    Queue("apscheduler", 1, "by hand"),
    Queue("arq", 5, "max_tries=; only for Retry, cancellation and dead workers"),
    Queue("celery", 1, "autoretry_for=, max_retries= (3); acks_late= redelivers without a limit"),
    Queue("dbos", 1, "retries_allowed=; an interrupted workflow is recovered up to 100 times"),
    Queue("dramatiq", 21, "max_retries= (20)"),
    Queue("google-cloud-pubsub", None, "a dead-letter policy's max_delivery_attempts"),
    Queue("google-cloud-tasks", 100, "the queue's maxAttempts"),
    Queue("huey", 1, "retries="),
    Queue("inngest", 5, "retries= (4)"),
    Queue("prefect", 1, "retries="),
    Queue("procrastinate", 1, "retry=; retry=True has no limit"),
    Queue("qstash", None, "the Upstash-Retries header; by default what the plan allows"),
    Queue("rq", 1, "Retry(max=)"),
    Queue("saq", 1, "retries="),
    Queue("taskiq", 1, "retry_on_error=, max_retries= (3)"),
    Queue("temporalio", None, "the retry policy's maximum_attempts"),
)
