"""Front: `payonce demo`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import click

from payonce.errors import ConfigError, PayonceError

_NEEDED = ("anthropic", "fastapi", "openai", "sqlalchemy", "uvicorn")


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave the apps, their logs and the journal in this folder, new or empty.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def demo(keep: Path | None, as_json: bool) -> None:
    """Tell the accident and its end, with real processes on this machine alone.

    A batch of three paid calls fails at its write and is delivered 21 times: first as it is, then
    with payonce, then once more after the migration. The provider is a local one that counts what
    it bills. Exit code 1: a figure is not as promised, or a process failed; 2: it can't start.

    \b
    Examples:
      payonce demo
      payonce demo --keep ./accident
      payonce demo --json | jq .protected
    """
    try:
        _check_packages()
        with _stopped_by_sigterm():
            faults = _play(keep, as_json)
    except ConfigError as exc:
        click.echo(f"payonce demo: {exc.what}. {exc.todo}", err=True)
        sys.exit(2)
    except PayonceError as exc:
        click.echo(f"payonce demo: {exc.what}. {exc.todo}", err=True)
        sys.exit(1)
    for fault in faults:
        click.echo(f"payonce demo: not as promised: {fault}", err=True)
    sys.exit(1 if faults else 0)


def _play(keep: Path | None, as_json: bool) -> list[str]:
    from rich.console import Console

    from payonce.demo.story import tell
    from payonce.demo.telling import Teller

    teller = Teller(Console(stderr=as_json), quiet=as_json)
    with teller.watching():
        story = tell(teller, keep)
    if as_json:
        click.echo(json.dumps(story.as_json(), indent=2))
    else:
        teller.close(story, keep)
    return list(story.wrong())


def _check_packages() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo needs packages that are not installed: {', '.join(missing)}",
            'Install them: pip install "payonce[demo]"',
        )


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the demo, so that it stops its processes before it ends."""

    def stop(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
