"""The metered provider in a process of its own: its bill outlives it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from payonce.testing import (
    MeteredProvider,
    SpawnedProvider,
    call_tool,
    hook,
    read_bill,
    reply,
    spawn_provider,
    status,
)


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    """Where the bill goes."""
    return tmp_path / "bill.jsonl"


@pytest.fixture
def provider(bill: Path) -> Iterator[SpawnedProvider]:
    """A provider in a process of its own."""
    with MeteredProvider.spawn(bill) as provider:
        yield provider


def ask(provider: SpawnedProvider | MeteredProvider, prompt: str) -> str:
    """Pay for one answer."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=0) as client:
        return client.responses.create(model="gpt-5", input=prompt).output_text


def test_bill_survives_kill_9(bill: Path, provider: SpawnedProvider) -> None:
    """A killed provider's bill is whole, and the next provider on it goes on counting."""
    answers = [ask(provider, f"[part-{n}] of a book") for n in range(3)]
    cost = provider.cost
    provider.kill()
    assert provider.billed() == 3
    with spawn_provider(bill) as later:
        answers.append(ask(later, "[part-0] of a book"))
        assert [call.n for call in later.bill] == [1, 2, 3, 4]
        assert (later.billed("part-0"), later.received()) == (2, 1)
        assert later.cost > cost
    assert len(set(answers)) == 4


def test_faults_are_told_over_http(provider: SpawnedProvider) -> None:
    """A provider in another process meets the same faults, and forgets them when healed."""
    provider.fail("outline", reply("as told"), times=2)
    provider.fail(None, status(503, billed=True))
    assert ask(provider, "[outline]") == "as told"
    with pytest.raises(openai.InternalServerError):
        ask(provider, "[chapter]")
    provider.heal()
    assert ask(provider, "[outline]") != "as told"
    assert [seen.status for seen in provider.requests] == [200, 503, 200]
    assert provider.requests[0].headers["content-type"] == "application/json"
    assert (provider.billed(), provider.received("outline")) == (3, 2)


def test_tool_is_called_from_another_process(bill: Path) -> None:
    """What a test wants the provider to call reaches it, in torn streams too."""
    with spawn_provider(bill, fragment=3) as provider:
        provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
        with (
            openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=0) as client,
            client.responses.stream(model="m", input="[outline]") as stream,
        ):
            [item] = stream.get_final_response().output
    assert item.type == "function_call"
    assert json.loads(item.arguments) == {"city": "Oslo"}


def test_function_does_not_leave_its_process(provider: SpawnedProvider) -> None:
    """A hook or a hold for another process is refused, not forgotten."""
    with pytest.raises(ValueError, match="same process"):
        provider.fail(None, hook(lambda call: None))


def test_command_line(bill: Path) -> None:
    """The command says where it listens, takes faults as JSON, and stops on SIGTERM."""
    fault = '{"label": "outline", "ending": "status", "status": 429, "retry_after": 7}'
    command = [sys.executable, "-m", "payonce.testing.provider", "--bill", str(bill)]
    command += ["--port", "0", "--latency", "0.01", "--fail", fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        url = f"{ready['url']}/v1"
        with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                client.responses.create(model="m", input="[outline]")
            assert client.responses.create(model="m", input="[outline]").output_text
        process.terminate()
        assert process.wait(20) == 0
    assert ready["pid"] == process.pid
    assert ready["environ"]["OPENAI_BASE_URL"] == f"{ready['url']}/v1"
    assert caught.value.response.headers["retry-after"] == "7"
    assert [call.label for call in read_bill(bill)] == ["outline"]


def test_unknown_fault_stops_the_command(bill: Path) -> None:
    """A misspelt fault is an error before anything is served."""
    command = [sys.executable, "-m", "payonce.testing.provider", "--bill", str(bill)]
    command += ["--fail", '{"endning": "drop"}']
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "not a fault" in done.stderr


def test_spawned_provider_ends_with_its_parent(bill: Path) -> None:
    """When the process that spawned it dies, however, the provider ends too."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from payonce.testing import spawn_provider\n"
        f"print(spawn_provider(Path({str(bill)!r})).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        printed, _ = parent.communicate(timeout=20)  # stderr ends when the last to hold it does
    assert int(printed) > 0
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.parametrize("tail", [b'{"at": 1.5, "n": 3, "prov', b"\xff", b"{}"])
def test_line_that_was_cut_short_is_left_out(bill: Path, tail: bytes) -> None:
    """A bill whose last line was cut short is read without it, and continued over it."""
    with MeteredProvider(bill) as first:
        ask(first, "[one]")
        ask(first, "[two]")
    bill.write_bytes(bill.read_bytes() + tail)
    assert read_bill(bill) == first.bill
    with MeteredProvider(bill) as second:
        ask(second, "[three]")
    assert [call.label for call in read_bill(bill)] == ["one", "two", "three"]


def test_last_line_may_lack_its_end(bill: Path) -> None:
    """A whole last line counts even where its newline is missing."""
    with MeteredProvider(bill) as first:
        ask(first, "[one]")
    bill.write_bytes(bill.read_bytes().rstrip(b"\n"))
    with MeteredProvider(bill) as second:
        assert second.billed() == 1
        ask(second, "[two]")
    assert [call.n for call in read_bill(bill)] == [1, 2]


def test_foreign_file_is_no_bill(bill: Path) -> None:
    """A file that is something else is refused and left as it is."""
    bill.write_text("something\nelse\n")
    with pytest.raises(ValueError, match="not a line of a bill"):
        MeteredProvider(bill)
    assert bill.read_text() == "something\nelse\n"


def test_importing_the_package_loads_no_sdk() -> None:
    """`payonce.testing` and all its names need the standard library alone."""
    program = (
        "import sys, payonce.testing as t; [getattr(t, n) for n in t.__all__]\n"
        "print(*{'openai', 'anthropic', 'httpx', 'httpx2', 'starlette'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert (done.returncode, done.stdout.strip()) == (0, b"")
