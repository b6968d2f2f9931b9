"""The billed API that is no model, and what providers do for nothing."""

from __future__ import annotations

import json
import threading
from typing import Any

import anthropic
import httpx
import openai
import pytest
import requests

from payonce.money import Money
from payonce.testing import MeteredProvider, cut, drop, error_event, insufficient_quota, status

CHARGE = {"amount": "100", "description": "[charge] of Ada"}


def test_charge(provider: MeteredProvider) -> None:
    """A form or JSON that is posted makes a resource, and costs the price of a call."""
    form = requests.post(f"{provider.rest_url}/v1/charges", data=CHARGE).json()
    sent = requests.post(f"{provider.rest_url}/2010/Messages.json", json={"To": "[sms] Ada"}).json()
    assert (form["object"], form["amount"], form["status"]) == ("charge", "100", "succeeded")
    assert (sent["object"], sent["To"]) == ("message", "[sms] Ada")
    assert [(call.model, call.label) for call in provider.bill] == [
        ("charges", "charge"),
        ("Messages", "sms"),
    ]
    assert provider.cost == Money(100_000_000)


def test_key_is_charged_once(provider: MeteredProvider) -> None:
    """An idempotency key gets its first answer again, however often and from how many threads."""
    url, headers = f"{provider.rest_url}/v1/charges", {"Idempotency-Key": "k1"}
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(requests.post(url, data=CHARGE, headers=headers).json())
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["id"] for answer in answers}) == 1
    assert (provider.billed("charge"), provider.received("charge")) == (1, 6)
    other = requests.post(url, data={**CHARGE, "amount": "2"}, headers=headers)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")


def test_key_survives_a_dropped_answer(provider: MeteredProvider) -> None:
    """A charge whose answer was lost is not made again under its key, and can be asked about."""
    url, headers = f"{provider.rest_url}/v1/charges", {"Idempotency-Key": "k1"}
    provider.fail("charge", drop())
    with pytest.raises(requests.ConnectionError):
        requests.post(url, data=CHARGE, headers=headers)
    known = requests.get(url, params={"idempotency_key": "k1"}).json()["data"]
    assert [one["label"] for one in known] == ["charge"]
    assert requests.get(url, params={"idempotency_key": "k2"}).json()["data"] == []
    assert requests.post(url, data=CHARGE, headers=headers).json()["status"] == "succeeded"
    assert provider.billed("charge") == 1


def test_lines_of_json(provider: MeteredProvider) -> None:
    """A stream is one line of JSON for each piece; it can be cut, and can end in an error."""
    url, ask = f"{provider.rest_url}/api/generate", {"prompt": "[lines]", "stream": True}

    def lines() -> list[Any]:
        with httpx.stream("POST", url, json=ask) as answer:
            assert answer.headers["content-type"] == "application/x-ndjson"
            return [json.loads(line) for line in answer.iter_lines()]

    whole = lines()
    assert [line["done"] for line in whole] == [False] * (len(whole) - 1) + [True]
    assert "".join(line["response"] for line in whole) == whole[-1]["note"]
    provider.fail("lines", error_event(after_events=2))
    assert lines()[-1]["error"]["type"] == "api_error"
    provider.fail("lines", cut(after_events=2))
    with pytest.raises(httpx.RemoteProtocolError):
        lines()
    assert provider.billed("lines") == 3


@pytest.mark.parametrize(
    ("fault", "answered", "kind"),
    [
        (status(400), 400, "invalid_request_error"),
        (insufficient_quota(), 402, "card_error"),
        (status(409), 409, "idempotency_error"),
        (status(429), 429, "rate_limit_error"),
        (status(500), 500, "api_error"),
    ],
)
def test_refusal(provider: MeteredProvider, fault: Any, answered: int, kind: str) -> None:
    """A refused call is not billed."""
    provider.fail("charge", fault)
    answer = requests.post(f"{provider.rest_url}/v1/charges", data=CHARGE)
    assert (answer.status_code, answer.json()["error"]["type"]) == (answered, kind)
    assert provider.billed() == 0


def test_body_may_come_in_chunks(provider: MeteredProvider) -> None:
    """A request whose length isn't told before is read as any other."""
    parts = iter([b'{"to": ', b'"[sms] Ada"}'])
    answer = requests.put(
        f"{provider.rest_url}/v1/messages",
        data=parts,
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["to"] == "[sms] Ada"
    assert provider.billed("sms") == 1


def test_requests_are_told_apart_by_their_bytes(provider: MeteredProvider) -> None:
    """What was seen has the SHA-256 of its body, to compare what two clients sent."""
    for body in ("{}", "{}", '{"a": "b"}'):
        headers = {"Content-Type": "application/json"}
        requests.post(f"{provider.rest_url}/v1/x", data=body, headers=headers)
    first, second, third = (seen.body_sha for seen in provider.requests)
    assert first == second != third


def test_what_costs_nothing(
    provider: MeteredProvider, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    """Uploads, polling, counting tokens and fetching access are answered, seen, never billed."""
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert client.files.retrieve(file.id).status == "processed"
    assert client.models.list().data == []
    messages: Any = [{"role": "user", "content": "how long is this?"}]
    assert claude.messages.count_tokens(model="m", messages=messages).input_tokens
    access = requests.post(f"{provider.rest_url}/oauth/token", data={"grant_type": "x"}).json()
    assert access["token_type"] == "Bearer"
    assert (provider.billed(), provider.received()) == (0, 5)
