"""Commands that import an app whose jobs use Django's models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
INSTALLED_APPS = ["school"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "school.db"}}
"""

MODELS = """
from django.db import models


class Course(models.Model):
    title = models.TextField()
"""

TASKS = """
from django.db import connection

from payonce import Payonce
from school.models import Course

app = Payonce("sqlite:///payonce.db", look_every=None)


@app.job(key="course:{n}", needs=[app.schema(connection, Course)])
def course(n: int) -> int:
    return n
"""


def _preflight(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "school").mkdir(exist_ok=True)
    for name, text in (
        *(("settings", SETTINGS), ("school/__init__", ""), ("school/models", MODELS)),
        ("tasks", TASKS),
    ):
        (folder / f"{name}.py").write_text(text)
    kept = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "payonce", "preflight", "tasks:app"]
    return subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=120
    )


def test_django_is_set_up_where_its_settings_are_named(tmp_path: Path) -> None:
    """As manage.py does it, so that models can be imported; what is missing is told."""
    done = _preflight(tmp_path, DJANGO_SETTINGS_MODULE="settings")
    assert "table school_course is missing" in done.stdout, done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "Set DJANGO_SETTINGS_MODULE to your project's settings, as manage.py does."),
        ({"DJANGO_SETTINGS_MODULE": "nosuch"}, "No module named 'nosuch'"),
    ],
)
def test_settings_that_are_missing_are_told(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    """In one sentence, without a traceback."""
    done = _preflight(tmp_path, **environment)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
