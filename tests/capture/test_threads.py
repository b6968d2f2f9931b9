"""A run goes along into threads, tasks and loops that its code starts, and not beyond its end."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import openai
import pytest
from tests.capture.asking import chat, client_for
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call
from payonce.scope import current
from payonce.testing import MeteredProvider

Calls = Callable[[], list[Call]]


def test_calls_in_a_pool_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Each task of a pool finds its run, also where prompts are equal."""

    def work() -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return sorted(pool.map(lambda _: chat(gpt).id, range(8)))

    first, second = Batch(app, work).twice()
    assert provider.billed("outline") == 8
    assert first == second


def test_calls_in_a_thread_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """So does a plain thread, and one whose class overrides `run`."""

    class Asking(threading.Thread):
        def run(self) -> None:
            chat(gpt)

    def work() -> None:
        threads: list[Any] = [threading.Thread(target=chat, args=(gpt,)), Asking()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    Batch(app, work).twice()
    assert provider.billed("outline") == 2


def test_a_thread_is_still_one_that_others_can_hook(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Sentry, for one, takes a thread's `run` for a method when the thread starts."""
    started = threading.Thread.__dict__["_bootstrap_inner"]

    def hooked(self: threading.Thread) -> None:
        function = getattr(self.run, "__func__", self.run)
        self.run = lambda: function(self)  # type: ignore[method-assign]
        started(self)

    def work() -> None:
        thread = threading.Thread(target=chat, args=(gpt,))
        thread._bootstrap_inner = hooked.__get__(thread)  # type: ignore[attr-defined]
        thread.start()
        thread.join()

    Batch(app, work).twice()
    assert provider.billed("outline") == 1


def test_a_pools_threads_forget_the_run(app: payonce.Payonce) -> None:
    """A pool's thread that was started inside a run works for nobody afterwards."""
    with ThreadPoolExecutor(1) as pool:

        def work() -> None:
            assert pool.submit(current).result() is current()

        assert Batch(app, work, failures=0).deliver() is None
        assert pool.submit(current).result() is None


@pytest.mark.parametrize("give", ["map", "imap", "starmap", "apply", "map_async"])
def test_calls_in_multiprocessings_pool_of_threads_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI, give: str
) -> None:
    """`ThreadPool` has threads, too; each of its tasks finds its run, and only its tasks do."""

    def ask(n: int) -> str:
        return str(chat(gpt, f"[text] {n}").id)

    with ThreadPool(3) as pool:

        def work() -> list[str]:
            match give:
                case "starmap":
                    return pool.starmap(ask, [(n,) for n in range(5)])
                case "apply":
                    return [pool.apply(ask, (n,)) for n in range(5)]
                case "map_async":
                    return pool.map_async(ask, range(5)).get(60)
                case _:
                    return list(getattr(pool, give)(ask, range(5)))

        first, second = Batch(app, work).twice()
        assert pool.apply(current) is None
    assert provider.billed("text") == 5
    assert first == second


def _gathered(client: openai.AsyncOpenAI) -> Any:
    return asyncio.gather(*(chat(client, f"[text] {n}") for n in range(4)))


async def _grouped(client: openai.AsyncOpenAI) -> list[Any]:
    answers: dict[int, Any] = {}

    async def ask(n: int) -> None:
        answers[n] = await chat(client, f"[text] {n}")

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(ask, n)
    return [answers[n] for n in range(4)]


async def _timed(client: openai.AsyncOpenAI) -> list[Any]:
    return [await asyncio.wait_for(chat(client, f"[text] {n}"), 60) for n in range(4)]


async def _shielded(client: openai.AsyncOpenAI) -> list[Any]:
    return [await asyncio.shield(chat(client, f"[text] {n}")) for n in range(4)]


async def _by_loop_in_a_thread(client: openai.AsyncOpenAI) -> list[Any]:
    """Another event loop, in a thread of its own, that was there before the run."""
    future = asyncio.run_coroutine_threadsafe(_timed(client), LOOPS[-1])
    return await asyncio.wrap_future(future)


LOOPS: list[asyncio.AbstractEventLoop] = []


@pytest.fixture
def loop() -> Iterator[None]:
    """An event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    LOOPS.append(loop)
    yield
    LOOPS.remove(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.mark.parametrize(
    "ask",
    [_gathered, _grouped, _timed, _shielded, _by_loop_in_a_thread],
    ids=lambda ask: ask.__name__,
)
def test_calls_in_tasks_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, loop: None, ask: Callable[..., Any]
) -> None:
    """Gathered, in a task group, under a timeout, on another loop: each task finds its run."""

    async def main() -> list[Any]:
        async def work() -> list[str]:
            async with client_for("chat", provider, awaits=True) as client:
                return [answer.id for answer in await ask(client)]

        return await Batch(app, work).atwice()

    first, second = asyncio.run(main())
    assert provider.billed("text") == 4
    assert first == second


@pytest.mark.parametrize("give", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_blocking_calls_of_an_awaited_job_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI, give: Callable[..., Any]
) -> None:
    """What a job awaits from threads, by asyncio's means or anyio's or an executor's."""

    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        one = await give(chat, gpt, "[text] one")
        two = await loop.run_in_executor(None, chat, gpt, "[text] two")
        return [one.id, two.id]

    first, second = asyncio.run(Batch(app, work).atwice())
    assert provider.billed("text") == 2
    assert first == second


def test_loops_inside_of_a_blocking_job_are_captured(
    app: payonce.Payonce, provider: MeteredProvider
) -> None:
    """A plain job that runs event loops, one here, one in a thread of a pool."""

    async def ask(n: int) -> str:
        async with client_for("chat", provider, awaits=True) as client:
            return str((await chat(client, f"[text] {n}")).id)

    def work() -> list[str]:
        with ThreadPoolExecutor(1) as pool:
            return [asyncio.run(ask(1)), pool.submit(lambda: asyncio.run(ask(2))).result()]

    first, second = Batch(app, work).twice()
    assert provider.billed("text") == 2
    assert first == second


CACHED = """
import asyncio, json, sys
import openai, payonce

app = payonce.Payonce(sys.argv[1], version="1")
app.capture()
client = openai.AsyncOpenAI(base_url=sys.argv[2], api_key="sk-metered")
seen = []

@app.job(key="batch", backoff=0.001, attempts=20)
def batch() -> list[str]:
    async def ask(n: int) -> str:
        asked = [{"role": "user", "content": f"[text{n}] Hello."}]
        return (await client.chat.completions.create(model="m", messages=asked)).id
    seen.append([asyncio.run(ask(n)) for n in range(3)])
    if len(seen) == 1:
        raise RuntimeError("no column")
    return seen

for _ in range(10):
    try:
        print(json.dumps(batch()))
        break
    except payonce.RetryLater:
        pass
app.close()
"""


def test_a_client_that_outlives_its_loop_pays_once(
    provider: MeteredProvider, store: Path, tmp_path: Path
) -> None:
    """Two `asyncio.run` with one cached client: whatever becomes of its connection, no call is
    billed twice."""
    program = tmp_path / "cached.py"
    program.write_text(CACHED, encoding="utf-8")
    command = [sys.executable, str(program), f"sqlite:///{store}", provider.openai_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    first, second = json.loads(done.stdout)
    assert first == second
    assert [provider.billed(f"text{n}") for n in range(3)] == [1, 1, 1]


def test_a_straggler_of_an_ended_attempt_is_refused(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A thread that goes on after its run has ended pays for nothing more."""
    ended, seen = threading.Event(), []

    def late() -> None:
        ended.wait(30)
        try:
            chat(gpt, "[late] Hello.")
        except BaseException as exc:
            seen.append(exc)

    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.Thread(target=late))
        threads[0].start()

    Batch(app, work, failures=0).deliver()
    ended.set()
    threads[0].join(30)
    assert provider.received("late") == 0
    [stop] = seen
    assert isinstance(stop, payonce.LeaseLost)


def _scope_there() -> bool:
    return current() is not None


def _by_executor(method: str) -> bool:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        return any(pool.submit(_scope_there).result(60) for _ in range(2))


def _by_pool(method: str) -> bool:
    with multiprocessing.get_context(method).Pool(1) as pool:
        return any(pool.map(_there, range(2)))


def _there(_: int) -> bool:
    return _scope_there()


def _by_process(method: str) -> bool:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=_leave_word)
    process.start()
    process.join(60)
    return bool(process.exitcode)


def _leave_word() -> None:
    if _scope_there():
        raise SystemExit(1)


def _by_fork(_: str) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(int(_scope_there()))
    return bool(os.waitpid(pid, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "method"),
    [
        (_by_executor, "fork"),
        (_by_executor, "spawn"),
        (_by_pool, "fork"),
        (_by_process, "spawn"),
        (_by_fork, ""),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_processes_leave_the_run_aloud(
    app: payonce.Payonce, by: Callable[[str], bool], method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning for each attempt names what to do, and the other process is in no run."""
    batch = Batch(app, lambda: by(method), failures=0)
    with caplog.at_level(logging.WARNING, "payonce"):
        assert batch.deliver() is None
    assert batch.seen == [False]
    [record] = [each for each in caplog.records if "process" in each.getMessage()]
    assert "leaves the run" in record.getMessage()
    assert "ThreadPoolExecutor" in record.getMessage()


@pytest.mark.slow
def test_a_pool_from_before_the_run_is_told_of_too(
    app: payonce.Payonce, caplog: pytest.LogCaptureFixture
) -> None:
    """Work that is given to processes which are there already leaves the run as well."""
    context: Any = multiprocessing.get_context("spawn")
    with Pool(1, context=context) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(_scope_there).result(60) is False
        assert pool.apply(_scope_there) is False
        for give in (
            lambda: pool.apply(_scope_there),
            lambda: executor.submit(_scope_there).result(60),
        ):
            caplog.clear()
            batch = Batch(app, give, failures=0)
            assert batch.deliver() is None
            assert batch.seen == [False]
            assert sum("leaves the run" in each.getMessage() for each in caplog.records) == 1


def test_processes_outside_of_a_run_are_no_ones_business(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of a process that no run starts."""
    assert _by_process("spawn") is False
    assert caplog.records == []
