"""A small client of a language model: one request, no retries."""

import json
import os
from urllib.request import Request, urlopen


def ask(prompt: str, *, idempotency_key: str | None = None) -> str:
    """The model's answer; each is billed."""
    headers = {
        "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
        "Content-Type": "application/json",
    }
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    body = json.dumps({"model": "gpt-5", "input": prompt}).encode()
    request = Request(f"{os.environ['OPENAI_BASE_URL']}/responses", body, headers)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)["output"][-1]["content"][0]["text"]
