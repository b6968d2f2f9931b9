"""Programs that call a billed API which has no SDK here, over HTTP clients of all kinds."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.capture.sdks.task import At


def url() -> str:
    return f"{os.environ['METERED_REST_URL']}/v1/charges"


def form(at: At) -> dict[str, str]:
    return {"amount": "500", "currency": "eur", "description": at.prompt}


def httpx(at: At) -> Any:
    import httpx

    return httpx.post(url(), data=form(at), timeout=at.timeout).json()


async def ahttpx(at: At) -> Any:
    import httpx

    async with httpx.AsyncClient(timeout=at.timeout) as client:
        return (await client.post(url(), json=form(at))).json()


def httpx2(at: At) -> Any:
    import httpx2

    with httpx2.Client(timeout=at.timeout) as client:
        return client.post(url(), json=form(at)).json()


def httpx2_as_httpx(at: At) -> Any:
    import httpx2

    httpx2.alias_httpx()
    import httpx

    assert httpx is httpx2
    return httpx.post(url(), json=form(at), timeout=at.timeout).json()


async def over_aiohttp(at: At) -> Any:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.post(url(), data=form(at)) as answer:
        return await answer.json()


def requests(at: At) -> Any:
    import requests

    answer = requests.post(url(), data=form(at), timeout=at.timeout)
    answer.raise_for_status()
    return answer.status_code, answer.json()


def requests_session(at: At) -> Any:
    import requests

    with requests.Session() as session:
        first = session.post(url(), json=form(at), timeout=at.timeout)
        second = session.post(url(), json={**form(at), "amount": "700"}, timeout=at.timeout)
        return first.text, second.text


def requests_stream(at: At) -> Any:
    import requests

    with requests.post(
        url(), json=form(at), headers={"accept": "application/x-ndjson"}, stream=True
    ) as answer:
        return [json.loads(line) for line in answer.iter_lines()]


def urllib3(at: At) -> Any:
    import urllib3

    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url(), json=form(at), timeout=at.timeout)
        return answer.status, answer.json()
