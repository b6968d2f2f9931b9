"""The price lists are read beside the first call, never before, and survive a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

QUIET = """
import sys
from payonce import Payonce

app = Payonce("sqlite:///a.db")
app.capture()
app.prices.add("m", input="1 USD", output="1 USD")
print(app.prices.cost("openai", "m", {"input_tokens": 1, "output_tokens": 1}, at=0))
print("genai_prices" in sys.modules)
print(hasattr(sys.modules["httpx2"], "URL"), hasattr(sys.modules["pydantic"], "BaseModel"))
"""
ON_ITS_WAY = """
import sys
from payonce import Payonce
from payonce.testing import MeteredProvider

def start(thread):
    started.append(thread.name)
    begin(thread)

def answering(call):
    while "genai_prices.data" not in sys.modules:  # until the lists are there: they are awaited
        time.sleep(0.01)

import threading, time
started, begin, threading.Thread.start = [], threading.Thread.start, start
with MeteredProvider(hook=answering) as provider:
    app = Payonce("sqlite:///a.db")
    app.capture()

    @app.job(key="one")
    def one():
        from openai import OpenAI
        print("genai_prices" in sys.modules)
        with OpenAI(base_url=provider.openai_url, api_key="k") as client:
            client.responses.create(model="gpt-5", input="x")
        print("genai_prices" in sys.modules)

    one()
print("payonce-prices" in started)
"""
FORKING = """
import os, sys
from payonce import Payonce
from payonce.capture import priced

class Scope:
    app = Payonce("sqlite:///a.db")

priced.warm(Scope)
child = os.fork()
told = {"input_tokens": 1000, "output_tokens": 1000}
cost = Scope.app.prices.cost("openai", "gpt-5", told, at=1795500000.0)
if child == 0:
    os._exit(0 if cost is not None else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), cost)
"""
THREADLESS = """
import threading
from payonce import Payonce
from payonce.journal.protocol import RunFilter
from payonce.testing import MeteredProvider

started = threading.Thread.start

def start(thread):
    if thread.name == "payonce-prices":
        raise RuntimeError("can't start new thread")
    started(thread)

with MeteredProvider() as provider:
    app = Payonce("sqlite:///a.db")
    app.capture()

    @app.job(key="one")
    def one():
        from openai import OpenAI
        with OpenAI(base_url=provider.openai_url, api_key="k") as client:
            client.responses.create(model="gpt-5", input="x")

    threading.Thread.start = start
    one()
    print(len(provider.bill), bool(app.journal.runs(RunFilter())[0].in_doubt))
"""


def _run(program: str, folder: Path) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    environ = {**os.environ, "PYTHONWARNINGS": ""}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    """Neither capture nor one's own prices load the lists.

    What these share with SDKs is whole by then: some SDKs look for it while a thread imports it.
    """
    assert _run(QUIET, tmp_path) == ["0.000002 USD", "False", "True True"]


def test_the_lists_are_read_while_the_first_call_is_on_its_way(tmp_path: Path) -> None:
    """By a thread of their own: the provider answers only once they are there."""
    assert _run(ON_ITS_WAY, tmp_path) == ["False", "True", "True"]


def test_a_fork_does_not_hang_in_a_half_read_list(tmp_path: Path) -> None:
    """A process that forks while they are read waits for them; the child has them, too."""
    assert _run(FORKING, tmp_path) == ["0 0.01125 USD"]


def test_a_process_that_ran_out_of_threads_calls_all_the_same(tmp_path: Path) -> None:
    """Where no thread can be started for the lists, the call that is begun is still made."""
    assert _run(THREADLESS, tmp_path) == ["1 False"]
