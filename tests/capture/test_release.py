"""Capture can be undone, is hooked in once, keeps apps apart, and says what it doesn't know."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest
from tests.capture.asking import chat, plain
from tests.capture.conftest import Batch

import payonce
from payonce.capture import httpx_hook, registry
from payonce.model import Call
from payonce.testing import MeteredProvider

PLACES = [
    (client, name)
    for module in (httpx, httpx2)
    for client, names in (
        (module.Client, ("_transport_for_url", "close", "__exit__")),
        (module.AsyncClient, ("_transport_for_url", "aclose", "__aexit__")),
    )
    for name in names
]
BODY = {"model": "m", "messages": [{"role": "user", "content": "[outline] Go."}]}


def hooked() -> list[Any]:
    """What stands at each place that capture hooks."""
    return [client.__dict__[name] for client, name in PLACES]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[payonce.Payonce]:
    """A second app, which doesn't capture yet."""
    app = payonce.Payonce(f"sqlite:///{tmp_path / 'other.db'}", version="1")
    yield app
    app.release()
    app.close()


def recorded(app: payonce.Payonce) -> list[Call]:
    """The calls that an app's journal has."""
    from payonce.journal.protocol import RunFilter

    return [c for r in app.journal.runs(RunFilter()) for c in app.journal.calls(r.run.id)]


def test_release_takes_everything_out(other: payonce.Payonce) -> None:
    """After the last release each client's methods are the very ones that they were."""
    before, finders = hooked(), list(sys.meta_path)
    capture = other.capture()
    assert all(now is not then for now, then in zip(hooked(), before, strict=True))
    capture.release()
    capture.release()
    assert hooked() == before
    assert sys.meta_path == finders


def test_a_capture_is_a_context_manager(other: payonce.Payonce) -> None:
    """It ends with its block, and `app.release()` does the same; a second time changes nothing."""
    before = hooked()
    with other.capture():
        assert hooked() != before
    assert hooked() == before
    other.capture()
    other.release()
    other.release()
    assert hooked() == before


def test_twice_installed_hooks_once(other: payonce.Payonce) -> None:
    """A second capture replaces what the first was told, and one release undoes both."""
    before = hooked()
    other.capture()
    once = hooked()
    other.capture(hosts=["billed.example"])
    assert hooked() == once
    other.release()
    assert hooked() == before


def test_a_released_app_captures_no_more(
    other: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Its runs' calls pass through, and are captured again once it captures again."""
    work: Any = lambda: plain(chat(gpt))  # noqa: E731
    with other.capture():
        pass
    assert Batch(other, work, failures=0).deliver() is None
    assert recorded(other) == []
    with other.capture():
        assert Batch(other, work, failures=0).deliver() is None
    assert len(recorded(other)) == 1
    assert provider.billed("outline") == 2


def test_who_hooked_in_on_top_stays(
    other: payonce.Payonce, provider: MeteredProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody put over a hook works on after the release, and payonce passes through."""
    asked: list[str] = []
    with other.capture():
        ours = httpx.Client._transport_for_url

        @wraps(ours)
        def theirs(client: Any, url: Any) -> Any:
            asked.append(url.path)
            return ours(client, url)

        monkeypatch.setattr(httpx.Client, "_transport_for_url", theirs)
    work: Any = lambda: httpx.post(f"{provider.openai_url}/chat/completions", json=BODY)  # noqa: E731
    assert Batch(other, work, failures=0).deliver() is None
    assert (len(asked), recorded(other)) == (1, [])
    with other.capture(hosts=["127.0.0.1"]):
        assert Batch(other, work, failures=0).deliver() is None
    assert (len(asked), len(recorded(other))) == (2, 1)
    monkeypatch.undo()
    registry_is_empty = not registry._settings
    httpx_hook.uninstall()
    assert registry_is_empty
    assert not hasattr(httpx.Client._transport_for_url, "__wrapped__")


def test_two_apps_have_hosts_and_terms_of_their_own(
    app: payonce.Payonce, other: payonce.Payonce, provider: MeteredProvider
) -> None:
    """What one app names as billed, or ignores, is none of the other's business."""
    app.capture(hosts=["127.0.0.1"], ignore=["stamp"])
    other.capture()
    stamps = iter(range(100))

    def work() -> None:
        body = {**BODY, "stamp": next(stamps)}
        httpx.post(f"{provider.openai_url}/chat/completions", json=body)

    Batch(other, work).twice()
    assert (provider.billed("outline"), recorded(other)) == (2, [])
    Batch(app, work).twice()
    assert (provider.billed("outline"), len(recorded(app))) == (3, 1)
    other.release()
    Batch(app, work).twice()
    assert provider.billed("outline") == 4


def test_a_run_inside_of_another_apps_run_has_its_own_calls(
    app: payonce.Payonce, other: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """The innermost run has the call, also under threads of an event loop."""
    other.capture()

    async def inner() -> None:
        await asyncio.to_thread(chat, gpt, "[inner] Go.")

    async def work() -> None:
        await Batch(other, inner, failures=0).adeliver()
        await asyncio.to_thread(chat, gpt, "[outer] Go.")

    asyncio.run(Batch(app, work).atwice())
    assert (len(recorded(app)), len(recorded(other))) == (1, 2)
    assert (provider.billed("outer"), provider.billed("inner")) == (1, 2)


def strange(name: str, **places: Any) -> ModuleType:
    """A library whose insides are not as they were."""
    module = ModuleType(name)
    module.__dict__["__version__"] = "99.0"
    for client in ("Client", "AsyncClient"):
        module.__dict__[client] = type(client, (), places)
    return module


def _around(self: Any, url: Any) -> Any:
    return url


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"_transport_for_url": _around},
        {"_transport_for_url": _around, "_send_single_request": _around},
    ],
    ids=["no place", "no sender", "a sender that goes by elsewhere"],
)
def test_an_unknown_version_is_warned_of_once(
    app: payonce.Payonce, places: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names the library, its version, what is missing and what to do."""
    module = strange(f"httpx{len(places)}", **places)
    for _ in range(2):
        httpx_hook._hook(module)
    [record] = caplog.records
    said = record.getMessage()
    assert record.levelno == logging.WARNING
    assert said.startswith(f"httpx{len(places)} 99.0 is unknown to payonce")
    assert "no Client._transport_for_url and no AsyncClient._transport_for_url" in said
    assert "strict=True" in said


def test_a_strict_app_refuses_an_unknown_version(
    other: payonce.Payonce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to do, and nothing stays installed."""
    before = hooked()
    monkeypatch.setitem(sys.modules, "httpx", strange("httpx"))
    with pytest.raises(payonce.ConfigError, match=r"httpx 99\.0 is unknown") as refused:
        other.capture(strict=True)
    assert "Install a version of httpx" in refused.value.todo
    assert hooked() == before
    assert not registry._settings


LATER = """
import sys
import payonce
app = payonce.Payonce("sqlite://" + sys.argv[1], version="1")
app.capture(strict=True)
try:
    import httpx
except payonce.ConfigError as refused:
    print(refused)
print("httpx" in sys.modules)
"""


def test_a_strict_app_refuses_what_is_imported_later(tmp_path: Path) -> None:
    """The import of a version with unknown insides fails, and says why."""
    (tmp_path / "httpx.py").write_text("__version__ = '99.0'\nclass Client: pass\n")
    (tmp_path / "later.py").write_text(textwrap.dedent(LATER), encoding="utf-8")
    command = [sys.executable, str(tmp_path / "later.py"), f"{tmp_path}/journal.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said, there = done.stdout.splitlines()
    assert "httpx 99.0 is unknown to payonce" in said
    assert json.loads(there.lower()) is False
