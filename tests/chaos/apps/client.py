"""A small client of a language model, whose every moment on the wire has a name."""

import http.client
import json
import os
from urllib.parse import urlsplit

import crash

USED = {}
"""The usage of each answer by its text, which no two share, until its cost was asked for."""


def ask(prompt: str) -> str:
    """The model's answer; each is billed."""
    there = urlsplit(os.environ["OPENAI_BASE_URL"])
    body = json.dumps({"model": "gpt-5", "input": prompt}).encode()
    connection = http.client.HTTPConnection(there.netloc, timeout=60)
    try:
        connection.putrequest("POST", f"{there.path}/responses")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("User-Agent", crash.agent())
        connection.endheaders(body[:7])
        crash.at("half-sent")
        connection.send(body[7:])
        crash.at("sent")
        response = connection.getresponse()
        crash.at("answered")
        text = response.read()
        crash.at("last-byte")
    finally:
        connection.close()
    if response.status != 200:
        raise Refused(response.status)
    answer = json.loads(text)
    said = answer["output"][-1]["content"][0]["text"]
    USED[said] = answer["usage"]
    return said


class Refused(Exception):
    """The provider said no; its status is where payonce looks for it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code = status
