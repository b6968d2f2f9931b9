"""A re-run that asks for something new while receipts lie unused: told of, parked on demand."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from rich.console import Console
from tests.capture.asking import chat, client_for

import payonce
from payonce import drift
from payonce.journal.protocol import RunFilter
from payonce.model import Call
from payonce.report.document import run_document
from payonce.report.run import RunReport, run_view
from payonce.testing import MeteredProvider, status

FIRST, SECOND = "10:01:02", "10:07:44"
Deliver = Callable[..., Any]


class Site:
    """One run of a batch of prompts, delivered by one version of an app after another."""

    def __init__(self, store: Path, provider: MeteredProvider) -> None:
        self.store, self.provider = store, provider
        self.failure: Exception | None = RuntimeError("no column")
        self.app: payonce.Payonce | None = None

    def deliver(
        self, work: Callable[[openai.OpenAI], Any], version: str = "1", **options: Any
    ) -> Any:
        """One delivery; the work fails after its calls while there is a failure."""
        app = payonce.Payonce(f"sqlite:///{self.store}", version=version)
        client = client_for("chat", self.provider)

        @app.job(key="batch", name="batch", backoff=0.001, attempts=20)
        def batch() -> None:
            work(client)
            if self.failure is not None:
                raise self.failure

        with client, app.capture(**options):
            try:
                return batch()
            except payonce.NotDone as told:
                return told
            finally:
                app.close()

    def wake(self) -> None:
        """A person's `payonce wake --force`."""
        app = payonce.Payonce(f"sqlite:///{self.store}", version="1")
        [summary] = app.journal.runs(RunFilter())
        assert app.journal.wake(summary.run).now()
        app.close()

    @property
    def calls(self) -> list[Call]:
        """All calls, in their order."""
        app = payonce.Payonce(f"sqlite:///{self.store}", version="1")
        [summary] = app.journal.runs(RunFilter())
        found = sorted(app.journal.calls(summary.run.id), key=lambda call: call.id)
        app.close()
        return found

    @property
    def told(self) -> dict[int, str]:
        """What is told of each call that drifted."""
        found = {call.id: drift.read(call.drift) for call in self.calls}
        return {call_id: f"{one.unused}: {one}" for call_id, one in found.items() if one}


@pytest.fixture
def site(store: Path, provider: MeteredProvider) -> Iterator[Site]:
    """A batch's site."""
    return Site(store, provider)


def asks(*prompts: str, **more: Any) -> Callable[[openai.OpenAI], None]:
    """Work that asks these, one after the other."""

    def work(client: openai.OpenAI) -> None:
        for prompt in prompts:
            chat(client, f"[text] {prompt}", **more)

    return work


def test_a_time_in_a_prompt_is_named(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It is paid for, and the call and the log tell the JSON path, the old value and the new."""
    assert isinstance(site.deliver(asks(f"Outline, at {FIRST}", "Chapter")), payonce.RetryLater)
    with caplog.at_level(logging.WARNING, "payonce"):
        site.deliver(asks(f"Outline, at {SECOND}", "Chapter"))
    assert site.provider.billed("text") == 3
    path = f'1: messages.0.content: "[text] Outline, at {FIRST}" → "[text] Outline, at {SECOND}"'
    assert site.told == {3: path}
    [record] = [each for each in caplog.records if "drift" in each.getMessage()]
    assert f'at {FIRST}" → "[text] Outline, at {SECOND}"' in record.getMessage()


def test_show_names_what_drifted(site: Site) -> None:
    """`payonce show` has the call, the unused receipt, the path and both values; so has JSON."""
    site.deliver(asks(f"Outline, at {FIRST}"))
    site.deliver(asks(f"Outline, at {SECOND}"))
    app = payonce.Payonce(f"sqlite:///{site.store}", version="1")
    [summary] = app.journal.runs(RunFilter())
    report = RunReport.read(app.journal, summary.run)
    app.close()
    console = Console(width=200, file=io.StringIO())
    console.print(*run_view(report), sep="\n")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "drift: 1 call made while a receipt lay unused" in shown
    line = next(each for each in shown.splitlines() if "messages.0.content" in each)
    assert line.split()[:2] == ["2", "1"]
    assert line.index(FIRST) < line.index(SECOND)
    first, second = run_document(report)["calls"]
    assert first["drift"] is None
    change = {"path": "messages.0.content"} | {
        name: f'"[text] Outline, at {at}"' for name, at in (("was", FIRST), ("is", SECOND))
    }
    assert second["drift"] == {"unused": 1, "changes": [change], "more": 0}


def test_a_failed_attempt_tells_of_what_came_as_far(site: Site) -> None:
    """Side by side nothing is certain at a call; where as many were asked, it is at the end."""

    def work(stamp: str) -> Callable[[openai.OpenAI], None]:
        def inner(client: openai.OpenAI) -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda n: chat(client, f"[text] {n} id-{stamp}"), range(2)))

        return inner

    site.deliver(work("8f3e"))
    site.deliver(work("77aa"))
    assert sorted(site.told) == [3, 4]
    assert {told.partition(":")[0] for told in site.told.values()} == {"1", "2"}


def test_in_a_long_prompt_the_words_that_changed_are_named(site: Site) -> None:
    """Of a value that is too long to be kept, its times, numbers and ids are."""
    long = "Write the outline of a course on bees. " * 40
    site.deliver(asks(f"{long} It is {FIRST} now, request 8f3e-11."))
    site.deliver(asks(f"{long} It is {SECOND} now, request 9a1c-12."))
    assert site.told == {2: f"1: messages.0.content: {FIRST} 8f3e-11. → {SECOND} 9a1c-12."}


def test_drift_may_park_before_it_is_paid(site: Site) -> None:
    """With `drift="park"` nothing is sent; the run says what changed, and wakes on new code."""
    site.deliver(asks(f"Outline, at {FIRST}"), drift="park")
    told = site.deliver(asks(f"Outline, at {SECOND}"), drift="park")
    assert isinstance(told, payonce.Parked)
    assert f'at {FIRST}" → ' in told.reason
    assert "messages.0.content" in told.reason
    assert "a new version of the code" in told.todo
    assert site.provider.billed("text") == 1


def test_a_person_may_let_it_pay(site: Site) -> None:
    """Woken by force, the run pays for what drifted, and tells of it."""
    site.deliver(asks(f"Outline, at {FIRST}"), drift="park")
    assert isinstance(site.deliver(asks(f"At {SECOND}"), drift="park"), payonce.Parked)
    site.wake()
    site.failure = None
    assert site.deliver(asks(f"Outline, at {SECOND}"), drift="park") is None
    assert site.provider.billed("text") == 2
    assert list(site.told) == [2]


def test_the_mended_code_replays_what_was_paid(site: Site) -> None:
    """Parked for drift, healed by a deploy that ignores the path: nothing is paid again."""

    def work(stamp: str) -> Callable[[openai.OpenAI], None]:
        return asks("Outline", "Chapter", metadata={"stamp": stamp, "by": "us"})

    site.deliver(work("a-1"), drift="park")
    assert isinstance(site.deliver(work("b-2"), drift="park"), payonce.Parked)
    site.failure = None
    mended: Any = {"drift": "park", "ignore": ["metadata.stamp"]}
    assert site.deliver(work("c-3"), "2", **mended) is None
    assert site.provider.billed("text") == 2
    assert site.told == {}


def test_ignored_paths_are_no_part_of_a_calls_identity(site: Site) -> None:
    """What is named in `ignore=` may differ from one delivery to the next."""
    options: Any = {"ignore": ["metadata.stamp", "messages.*.name"]}
    for n in range(3):
        site.deliver(asks("Outline", metadata={"stamp": f"{n}"}), **options)
    assert site.provider.billed("text") == 1
    site.deliver(asks("Outline", metadata={"stamp": "9", "more": "1"}), **options)
    assert site.provider.billed("text") == 2


@pytest.mark.parametrize("rule", ["pay", "park"])
@pytest.mark.parametrize(
    "after",
    [
        ["two", "one", "three"],
        ["zero", "one", "two", "three"],
        ["three", "zero", "two", "one"],
        ["one", "two", "three", "four", "five"],
        [f"zero at {FIRST}", "three", f"one and a half at {SECOND}", "two", "one"],
    ],
    ids=["N1", "N2", "both", "longer", "with times"],
)
def test_new_code_that_reorders_or_inserts_is_no_drift(
    site: Site, rule: str, after: Sequence[str]
) -> None:
    """Calls keep their receipts by content; only what is new is paid, and nothing is told."""
    site.deliver(asks("one", "two", "three"), drift=rule)
    site.failure = None
    assert site.deliver(asks(*after), "2", drift=rule) is None
    assert site.provider.billed("text") == 3 + len({*after} - {"one", "two", "three"})
    assert site.told == {}


def test_new_code_that_asks_otherwise_is_told_of_at_the_end(site: Site) -> None:
    """A prompt that was edited leaves its receipt unused: that is certain once the run is done."""
    site.deliver(asks("one", "two"), drift="park")
    site.failure = None
    assert site.deliver(asks("one", "two, please"), "2", drift="park") is None
    assert site.told == {3: '2: messages.0.content: "[text] two" → "[text] two, please"'}


def test_the_same_code_that_asks_otherwise_is_told_of_at_once(site: Site) -> None:
    """A random id, or rows that changed: in code that asks one by one it is certain."""
    site.deliver(asks("one", "id 8f3e"), drift="park")
    told = site.deliver(asks("one", "id 77aa"), drift="park")
    assert isinstance(told, payonce.Parked)
    assert '"[text] id 8f3e" → "[text] id 77aa"' in told.reason


def test_calls_side_by_side_are_no_drift(site: Site) -> None:
    """Where calls overlap, one that is new may be ahead of one that has a receipt."""
    held = site.provider.hold("text")

    def work(prompts: Sequence[str], release: bool) -> Callable[[openai.OpenAI], None]:
        def inner(client: openai.OpenAI) -> None:
            with ThreadPoolExecutor(4) as pool:
                asked = [pool.submit(chat, client, f"[text] {each}") for each in prompts]
                if release:
                    held.arrived.wait(10)
                    held.release()
                for each in asked:
                    each.result()

        return inner

    site.deliver(work(["one", "two"], release=True), drift="park")
    site.failure = None
    assert site.deliver(work(["three", "two", "one"], release=False), drift="park") is None
    assert site.provider.billed("text") == 3
    assert site.told == {}


def test_a_loop_over_times_is_no_drift(site: Site) -> None:
    """Code that asks for one time after the other doesn't drift when it asks for the next."""
    site.deliver(asks("at 10:00", "at 11:00"), drift="park")
    site.failure = None
    assert site.deliver(asks("at 12:00", "at 11:00", "at 10:00"), "2", drift="park") is None
    assert site.told == {}


def test_another_model_in_its_place_is_no_drift(site: Site) -> None:
    """A fallback to another model is no other form of the same request."""
    site.deliver(asks("one"), drift="park")

    def other(client: openai.OpenAI) -> None:
        message: Any = {"role": "user", "content": "[text] two"}
        client.chat.completions.create(model="gpt-4o", messages=[message])

    assert isinstance(site.deliver(other, drift="park"), payonce.RetryLater)
    assert site.told == {}


def test_what_a_replayed_step_asked_inside_is_not_unused(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A step with a receipt isn't called again, and what it had asked lies there for a reason."""
    app.capture(drift="park")
    left = [RuntimeError("no column"), None]

    @app.step
    def outline() -> str:
        return str(chat(gpt, "[text] outline").id)

    @app.job(key="batch", backoff=0.001)
    def batch() -> None:
        outline()
        if failure := left.pop(0):
            raise failure
        chat(gpt, "[text] chapter")

    with pytest.raises(payonce.RetryLater):
        batch()
    batch()
    assert provider.billed("text") == 2


def test_a_refused_send_keeps_what_is_told(site: Site) -> None:
    """A 429 and the SDK's own retry: what drifted is told of the call that was paid."""
    site.deliver(asks(f"Outline, at {FIRST}"))
    site.provider.fail("text", status(429))
    site.deliver(asks(f"Outline, at {SECOND}"))
    assert [call.state for call in site.calls] == ["paid", "released", "paid"]
    assert list(site.told) == [2, 3]


def test_secrets_are_masked_in_what_is_told(site: Site) -> None:
    """Neither the old value nor the new one shows a key."""
    site.deliver(asks("Outline", metadata={"api_key": "hush-1", "note": "sk-ant-hush-hush-1"}))
    site.deliver(asks("Outline", metadata={"api_key": "hush-2", "note": "sk-ant-hush-hush-2"}))
    [told] = site.told.values()
    assert "metadata.api_key" in told
    assert "hush" not in told
    written = b"".join(each.read_bytes() for each in site.store.parent.glob(f"{site.store.name}*"))
    assert b"hush" not in written


def test_sketches_need_not_be_kept(site: Site) -> None:
    """With `sketches=False` nothing of a request is in the journal, and drift can't be told."""
    for stamp in ("STAMP-1", "STAMP-2"):
        site.deliver(asks("Outline", metadata={"stamp": stamp}), sketches=False)
    assert site.told == {}
    written = b"".join(each.read_bytes() for each in site.store.parent.glob(f"{site.store.name}*"))
    assert b"STAMP" not in written


@pytest.mark.parametrize("endpoint", ["chat"])
def test_identical_prompts_under_gather_keep_their_answers(
    app: payonce.Payonce, provider: MeteredProvider, endpoint: str
) -> None:
    """Eight equal prompts at once are eight answers; a re-run gets the same eight."""
    seen: list[list[str]] = []

    @app.job(key="batch", backoff=0.001)
    async def batch() -> None:
        async with client_for(endpoint, provider, awaits=True) as client:
            answers = await asyncio.gather(*(chat(client, "[text] same") for _ in range(8)))
        seen.append(sorted(answer.id for answer in answers))
        if len(seen) == 1:
            raise RuntimeError("no column")

    async def twice() -> None:
        with pytest.raises(payonce.RetryLater):
            await batch()
        await batch()

    asyncio.run(twice())
    assert provider.billed("text") == 8
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 8


@pytest.mark.parametrize(
    ("options", "says"),
    [({"drift": "stop"}, '"pay" or "park"'), ({"ignore": "metadata"}, r'ignore=\["metadata"\]')],
)
def test_terms_that_could_not_work_are_refused(
    app: payonce.Payonce, options: dict[str, Any], says: str
) -> None:
    """A word that isn't known, a text in place of a list."""
    with pytest.raises(payonce.ConfigError, match=says):
        app.capture(**options)
