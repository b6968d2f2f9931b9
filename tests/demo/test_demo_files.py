"""What the demo ships: the user's two batches, the words of the story, the page about it."""

from __future__ import annotations

import difflib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from payonce.demo.child import Child, ChildFailed, environment
from payonce.demo.figures import Migrated, Protected, Story, Unprotected
from payonce.demo.telling import Teller
from payonce.money import Money

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "src" / "payonce" / "demo"
ADDED = [
    "from payonce import Payonce",
    'app = Payonce("sqlite:///payonce.db")',
    "app.capture()",
    "app.watch(engine)",
    '@app.job(key="course:{course_id}", tenant="{tenant}")',
]
STORY = Story(
    Unprotected(
        deliveries=21, billed_calls=63, failing_writes=21, cost=Money(63_000_000), succeeded=False
    ),
    Protected(
        deliveries=21,
        wanted=1,
        billed_calls=3,
        failing_writes=1,
        state="parked",
        reason="column [outline] does not exist",
        cost=Money(3_000_000),
        billed_to_others=0,
    ),
    Migrated(
        deliveries=22,
        billed_calls=3,
        failing_writes=1,
        state="done",
        run_key="course:42",
        same_key=True,
        cost=Money(3_000_000),
    ),
    receipts=(("openai", "one"), ("openai", "two"), ("anthropic", "three")),
)


def _changes(file: str) -> list[str]:
    """The lines that payonce adds (`+`) to the user's file, or takes (`-`), empty ones left out."""
    before, after = ((APPS / act / file).read_text() for act in ("unprotected", "protected"))
    diff = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in diff if line[0] in "+-" and line[2:].strip()]


def test_the_protected_batch_adds_five_lines_and_changes_none() -> None:
    """The batch differs by the import, the app, `capture`, `watch` and the decorator alone."""
    assert _changes("batch.py") == [f"+ {line}" for line in ADDED]


def test_the_protected_web_app_adds_the_middleware() -> None:
    """The web app differs by the middleware, and by what it imports for it."""
    added = [line for line in _changes("web.py") if "import" not in line]
    assert added == ['+ web.add_middleware(DeliveryMiddleware, app=app, queue="cloud-tasks")']


def test_the_page_shows_the_batch_as_it_is() -> None:
    """docs/demo.md shows each line that payonce adds to the batch."""
    page = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    assert [line for line in _changes("batch.py") if line.replace("+ ", "+", 1) not in page] == []


def test_figures_as_promised_have_no_fault() -> None:
    """The story with the promised figures is right."""
    assert list(STORY.wrong()) == []


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (
            replace(STORY, unprotected=replace(STORY.unprotected, billed_calls=62)),
            "unprotected: billed_calls is 62, not 63",
        ),
        (
            replace(STORY, protected=replace(STORY.protected, state="waiting")),
            "protected: state is 'waiting', not 'parked'",
        ),
        (
            replace(STORY, migrated=replace(STORY.migrated, same_key=False)),
            "after_migration: same_key is False, not True",
        ),
        (replace(STORY, receipts=STORY.receipts[1:]), "the journal has 2 receipts, not 3"),
    ],
    ids=["bill", "state", "key", "receipts"],
)
def test_a_figure_that_is_not_as_promised_is_named(story: Story, said: str) -> None:
    """A figure other than promised is told with both values."""
    assert list(story.wrong()) == [said]


def _told(console: Console) -> str:
    teller = Teller(console)
    with teller.watching():
        for act in (STORY.unprotected, STORY.protected, STORY.migrated):
            teller.hears(act)
    teller.close(STORY, Path("a folder"))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    """In a pipe there is no colour and no bar, and each sentence has a line of its own."""
    told = _told(Console(file=io.StringIO(), width=60))
    assert "\x1b" not in told
    assert "63 calls billed, 21 failing writes: $0.063 for nothing.\n" in told
    assert "parked: column [outline] does not exist. The queue needed 1 delivery; " in told
    assert "payonce saved 60 calls and $0.06: 95 % of that bill.\n" in told
    assert "show course:42 --store 'sqlite:///a folder/protected/payonce.db'\n" in told


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the story is coloured."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b[31m" in _told(Console(file=io.StringIO(), force_terminal=True, width=100))


def test_children_get_no_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's environment has none of the user's keys, stores and proxies."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "PAYONCE_STORE", "https_proxy"):
        monkeypatch.setenv(name, "mine")
    assert "mine" not in environment({"OPENAI_API_KEY": "metered"}).values()


def test_a_child_that_hangs_is_told_and_stopped(tmp_path: Path) -> None:
    """A process that doesn't end in time is an error with its log, and is gone afterwards."""
    program = "import time; print('waiting for ever', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    with Child("sleeper", ["-c", program], folder=tmp_path, log=log) as child:
        child.await_word(lambda text: text or None, 20)
        with pytest.raises(ChildFailed, match="did not end within 0 s") as raised:
            child.finish(0)
    assert "waiting for ever" in raised.value.todo
    with pytest.raises(ChildFailed, match="ended with code -15"):
        child.finish(1)
