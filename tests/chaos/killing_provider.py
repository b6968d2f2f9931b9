"""The metered provider in a process of its own, which kills the workers that ask for it.

A worker asks by its user agent, `worker/PID kill-me-once-billed`: the call is billed, then the
worker is killed, and there is nobody left to answer.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from payonce.testing import BilledCall, MeteredProvider


def kill(call: BilledCall | None) -> None:
    """End the worker that wished so."""
    agent = (call and call.user_agent) or ""
    worker, _, wish = agent.partition(" ")
    if wish == "kill-me-once-billed":
        with suppress(ProcessLookupError):
            os.kill(int(worker.removeprefix("worker/")), signal.SIGKILL)


def main() -> None:
    """Say the address, and serve until standard input ends."""
    with MeteredProvider(Path(sys.argv[1]), hook=kill, latency=float(sys.argv[2])) as provider:
        print(provider.url, flush=True)
        while os.read(0, 1024):
            pass


if __name__ == "__main__":
    main()
