"""A shop whose journal is made by its own jobs, and the command line to look at it with."""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from payonce.cli import main
from payonce.errors import NotDone

APPS = Path(__file__).with_name("apps")


class Shop:
    """The shop of `apps/shop.py`, in a folder of its own that is the working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "payonce.db"

    @property
    def jobs(self) -> Any:
        """Its module, imported in this process."""
        return importlib.import_module("shop")

    def deliver(self, job: str, *arguments: Any, times: int = 1) -> None:
        """Deliver to one of its jobs, and write down all of it."""
        for _ in range(times):
            with suppress(NotDone):
                getattr(self.jobs, job)(*arguments)
        self.jobs.app.close()

    def forget(self) -> None:
        """Let the next delivery import the module anew, as a new process would."""
        if "shop" in sys.modules:
            self.jobs.app.close()
            del sys.modules["shop"]

    def die(self, job: str, *arguments: int) -> None:
        """Deliver in a process that is killed inside the step."""
        call = f"import shop; shop.{job}({', '.join(map(str, arguments))})"
        command = [sys.executable, "-c", call]
        done = subprocess.run(command, env=os.environ | {"DIE": "1"}, timeout=20, check=False)
        assert done.returncode == -9

    def migrate(self) -> None:
        """Add the column that was missing."""
        self.execute("ALTER TABLE courses ADD COLUMN outline")

    def execute(self, statement: str, file: str = "shop.db") -> list[Any]:
        """Do something to one of its databases."""
        db = sqlite3.connect(self.folder / file)
        try:
            with db:
                return db.execute(statement).fetchall()
        finally:
            db.close()


def payonce(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(
        main, arguments, prog_name="payonce", terminal_width=80, catch_exceptions=False
    )


def payonce_json(*arguments: str) -> Any:
    """What a command prints for programs."""
    result = payonce(*arguments, "--json")
    assert result.exit_code in (0, 3), result.output
    return json.loads(result.stdout)
