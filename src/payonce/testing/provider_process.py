"""Testing: a metered provider in a process of its own, which outlives its clients' crashes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from payonce.testing.bill import BilledCall, read_bill
from payonce.testing.control import Control, queue_fault
from payonce.testing.desk import SeenRequest
from payonce.testing.faults import Fault, Hold
from payonce.testing.metered import Metered
from payonce.testing.prices import DEFAULT_PRICES, Price
from payonce.testing.provider import MeteredProvider

_STOP_SECONDS = 10.0


class SpawnedProvider(Metered):
    """The handle of a provider in another process; its bill is read from the file."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        url: str,
        bill: Path,
        prices: Mapping[str, Price] = DEFAULT_PRICES,
    ) -> None:
        self._process, self._url, self._bill, self._prices = process, url, bill, prices
        self._control = Control(urlsplit(url).port or 0)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return self._url

    @property
    def prices(self) -> Mapping[str, Price]:
        """What it charges for calls of a model, by the model's name; `"*"` is every other one."""
        return self._prices

    @property
    def pid(self) -> int:
        """The provider's process."""
        return self._process.pid

    @property
    def bill(self) -> list[BilledCall]:
        """All billed calls, oldest first, as the file has them."""
        return read_bill(self._bill)

    @property
    def requests(self) -> list[SeenRequest]:
        """All physical requests since the process started; asked of the process."""
        return self._control.requests()

    def fail(self, label: str | None, fault: Fault | Hold, times: int | None = 1) -> None:
        """Let the next `times` requests with this label meet a fault; None is any, and ever.

        Raises:
            ValueError: the fault is a hold or has a hook, which can't leave this process.
        """
        self._control.fail(label, fault.fault if isinstance(fault, Hold) else fault, times)

    def heal(self) -> None:
        """Forget all faults that wait."""
        self._control.heal()

    def stop(self) -> None:
        """End the process with SIGTERM and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process with SIGKILL: the bill has to survive it."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def spawn_provider(
    bill: Path,
    *,
    port: int = 0,
    prices: Mapping[str, Price] = DEFAULT_PRICES,
    latency: float = 0.0,
    gzip: bool = False,
    fragment: int = 0,
) -> SpawnedProvider:
    """Start a provider in a process of its own; it ends with this process at the latest.

    Args:
        bill: The file for the bill; an existing one is continued.
        port: The port on 127.0.0.1; 0 finds a free one.
        prices: USD per million tokens by model; `"*"` is every other model.
        latency: Seconds before the first byte of every answer.
        gzip: Compress answers for clients that accept it.
        fragment: Bytes in each chunk of a stream; 0 sends each event in one.

    Raises:
        RuntimeError: the process ended before it was ready; its own message is on stderr.
    """
    command = [sys.executable, "-m", "payonce.testing.provider", "--with-parent"]
    command += ["--bill", str(bill), "--port", str(port), "--latency", str(latency)]
    command += ["--fragment", str(fragment), *(["--gzip"] if gzip else [])]
    command += ["--prices", json.dumps({model: asdict(price) for model, price in prices.items()})]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the provider's process ended with code {process.wait()}")
    return SpawnedProvider(process, json.loads(line)["url"], bill, prices)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM; one line of JSON on stdout says where, and what leads SDKs there."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    provider = MeteredProvider(
        options.bill,
        port=options.port,
        prices={model: Price(**price) for model, price in options.prices.items()},
        latency=options.latency,
        gzip=options.gzip,
        fragment=options.fragment,
    )
    for order in options.fail:
        queue_fault(order, provider._desk)
    if options.with_parent:
        threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    with provider:
        told = {"url": provider.url, "pid": os.getpid(), "environ": provider.environ()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m payonce.testing.provider",
        description="An LLM provider on loopback that counts what it bills.",
    )
    parser.add_argument(
        "--bill", type=Path, required=True, help="file for the bill, one line a call"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)"
    )
    parser.add_argument(
        "--prices",
        type=json.loads,
        default={model: asdict(price) for model, price in DEFAULT_PRICES.items()},
        metavar="JSON",
        help='USD per million tokens, such as {"gpt-5": {"input": "1.25", "output": "10"}}',
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--gzip", action="store_true", help="compress answers where accepted")
    parser.add_argument("--fragment", type=int, default=0, help="bytes in each chunk of a stream")
    parser.add_argument(
        "--fail",
        type=json.loads,
        action="append",
        default=[],
        metavar="JSON",
        help='a fault to queue, such as {"label": "outline", "ending": "status", "status": 503}',
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when stdin ends, as it does with a parent"
    )
    return parser


def _wait_for_parent(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()
