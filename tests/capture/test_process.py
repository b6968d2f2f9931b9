"""What was paid for outlives its process, and no secret gets into the journal's files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anthropic
import openai
import pytest
from tests.capture.asking import chat, message, plain
from tests.capture.conftest import Batch

import payonce
from payonce.testing import MeteredProvider

CRASHING = """
import os, sys
import openai, payonce

app = payonce.Payonce(sys.argv[1], version="1")
app.capture()

@app.job(key="course:{course}", name="course")
def course(course: int) -> list[str]:
    gpt = openai.OpenAI()
    outline = gpt.responses.create(model="gpt-4o", input="[outline] Go.").output_text
    with gpt.responses.stream(model="gpt-4o", input="[chapter] Go.") as stream:
        chapter = stream.get_final_response().output_text
    if sys.argv[2] == "crash":
        os.kill(os.getpid(), 9)
    return [outline, chapter]

print(course(7))
app.close()
"""


def test_a_killed_process_pays_nothing_twice(
    provider: MeteredProvider, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `kill -9` a new process replays the answers, streamed or not."""
    program = tmp_path / "course.py"
    program.write_text(CRASHING, encoding="utf-8")
    for name, value in provider.environ().items():
        monkeypatch.setenv(name, value)

    def run(how: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), f"sqlite:///{store}", how]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert run("crash").returncode == -9
    done = run("finish")
    assert done.returncode == 0, done.stderr
    assert "outline" in done.stdout
    assert provider.billed("outline") == provider.billed("chapter") == 1


def test_no_secret_is_in_the_journals_files(
    app: payonce.Payonce,
    provider: MeteredProvider,
    store: Path,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
) -> None:
    """Keys, cookies and prompts of requests are in no file of the journal."""
    secret = {"x-internal-token": "hush-hush-42", "cookie": "session=hush-hush-43"}

    def work() -> None:
        plain(chat(gpt, prompt="[outline] prompt-of-44", extra_headers=secret))
        plain(message(claude, prompt="[outline] prompt-of-45", extra_headers=secret))

    Batch(app, work, failures=0).deliver()
    app.close()
    written = b"".join(path.read_bytes() for path in store.parent.glob(f"{store.name}*"))
    assert b"chatcmpl-" in written
    for word in (b"secret-of", b"hush-hush", b"authorization", b"set-cookie"):
        assert word not in written.lower()
