"""What goes wrong outside of payonce: a provider that fails, code that raises."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from payonce.testing import Fault, drop, status

TROUBLES = (ConnectionResetError(104, "reset"), ValueError("odd"), KeyError("missing"))
FAULTS: dict[str, Fault] = {
    "refused": status(503),
    "asked to wait": status(503, retry_after=60),
    "refused for good": status(400),
    "failed": status(500),
    "failed and billed": status(500, billed=True),
    "cut off": drop(billed=False),
    "cut off and billed": drop(),
}


class Refused(Exception):
    """An error answer, with its status and headers where payonce looks for them."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response
        self.status_code, self.headers = response.status, dict(response.getheaders())


def ask(url: str, label: str) -> str:
    """One paid call."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = json.dumps({"model": "gpt-5", "input": f"[{label}] a text"})
    try:
        connection.request("POST", "/v1/responses", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise Refused(response)
    return json.loads(text)["output"][-1]["content"][0]["text"]
