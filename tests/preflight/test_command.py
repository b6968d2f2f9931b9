"""`payonce preflight` and the readiness checks: what deploys and probes ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.preflight.conftest import ANYWHERE, Place
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from payonce import Payonce
from payonce.preflight.endpoint import ReadinessASGI, ReadinessWSGI

SITE = """
import os
from payonce import Payonce

app = Payonce("sqlite:////nowhere/at/all.db")
plain = Payonce("sqlite:////nowhere/at/all.db")
need = app.schema(os.environ["SCHOOL"], "INSERT INTO courses (tenant, later) VALUES (:t, :l)")

@app.job(key="c:{n}", name="course", needs=[need])
def course(n: int) -> None:
    print("never printed")
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an app whose journal can't be opened."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "shop.py").write_text(SITE)
    return folder


def start(site: Path, place: Place, *arguments: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "payonce", "preflight", *arguments],
        cwd=site,
        env=os.environ | {"SCHOOL": place.url, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(site: Path, place: Place, *arguments: str) -> tuple[int, str, str]:
    """Its exit code, and what it printed."""
    process = start(site, place, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@ANYWHERE
def test_its_exit_code_is_the_verdict(site: Path, place: Place) -> None:
    """1 while a column is missing, which is named; 0 once it is there."""
    code, out, err = run(site, place, "shop:app")
    assert (code, err) == (1, "")
    assert "column courses.later is missing" in out
    place.do("ALTER TABLE courses ADD COLUMN later TEXT")
    code, out, _ = run(site, place, "shop:app", "--job", "course", "--json")
    told = json.loads(out)
    assert (code, told["state"], told["needs"][0]["jobs"]) == (0, "ready", ["course"])


def test_what_cannot_be_told_has_a_code_of_its_own(site: Path, on_sqlite: Place) -> None:
    """2: the database is away, no job says what it needs, or the app isn't there."""
    away = Place("postgresql://app@127.0.0.1:1/school", on_sqlite.do)
    assert run(site, away, "shop:app")[0] == 2
    for arguments in (["shop:plain"], ["shop:gone"], ["shop:app", "--job", "gone"]):
        code, out, err = run(site, on_sqlite, *arguments)
        assert (code, out) == (2, "")
        assert "paid: no" in err
    assert run(site, on_sqlite, "shop:app", "--wait", "soon")[0] == 2


def test_it_waits_for_the_migration(site: Path, on_sqlite: Place) -> None:
    """Given --wait, then it tells what it waits for, once, and ends with 0 when it is there."""
    process = start(site, on_sqlite, "shop:app", "--wait", "5m")
    assert process.stderr is not None
    waiting = process.stderr.readline()
    assert "waiting:" in waiting
    assert "column courses.later is missing" in waiting
    on_sqlite.do("ALTER TABLE courses ADD COLUMN later TEXT")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "ready" in out


def test_it_waits_no_longer_than_it_is_told(site: Path, on_sqlite: Place) -> None:
    """When the time is up, then the exit code is that of the last look."""
    begun = time.monotonic()
    assert run(site, on_sqlite, "shop:app", "--wait", "1.5s")[0] == 1
    assert time.monotonic() - begun >= 1.5


def _answers(app: Payonce, *, details: bool) -> list[tuple[int, Any]]:
    """What a probe is answered over ASGI and over WSGI."""
    api = Starlette()
    api.add_route("/ready", ReadinessASGI(app, details=details))
    with TestClient(api, follow_redirects=False) as client:
        asgi = client.get("/ready")
    web = DispatcherMiddleware(Flask("web"), {"/ready": ReadinessWSGI(app, details=details)})
    wsgi = Client(web).get("/ready")
    return [(asgi.status_code, asgi.json()), (wsgi.status_code, wsgi.json)]


def test_a_probe_is_answered(app: Payonce, on_sqlite: Place) -> None:
    """503 while something is missing or can't be told, with the details only where asked for;
    200 once it is there."""

    @app.job(key="c", needs=[app.schema(on_sqlite.url, "SELECT later FROM courses")])
    def work() -> None:
        """Need the column."""

    assert _answers(app, details=False) == [(503, {"ready": False})] * 2
    for status, told in _answers(app, details=True):
        (need,) = told["needs"].values()
        assert (status, need["state"]) == (503, "not ready")
        assert "no such column: later" in need["defects"][0]
    on_sqlite.do("ALTER TABLE courses ADD COLUMN later TEXT")
    assert _answers(app, details=False) == [(200, {"ready": True})] * 2


def test_a_probe_that_looks_at_nothing_says_so(
    app: Payonce, caplog: pytest.LogCaptureFixture
) -> None:
    """Without any needs= it answers that all is ready, and the log tells what that is worth."""
    check = ReadinessWSGI(app)
    for _ in range(2):
        assert Client(check).get("/").json == {"ready": True}
    assert caplog.text.count("a readiness check looks at nothing") == 1
