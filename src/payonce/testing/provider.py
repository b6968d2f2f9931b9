"""Testing: an LLM provider on loopback that counts what it bills.

It speaks the formats of the providers in `routes`, streamed or not.
`python -m payonce.testing.provider --bill FILE` runs one in a process of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from payonce.testing.bill import Bill, BilledCall
from payonce.testing.desk import Desk, Say, SeenRequest, say
from payonce.testing.exchange import ProviderServer
from payonce.testing.faults import Fault, Hold, Hook
from payonce.testing.metered import Metered
from payonce.testing.prices import DEFAULT_PRICES, Price

if TYPE_CHECKING:
    from payonce.testing.provider_process import SpawnedProvider

_POLL = 0.02


class MeteredProvider(Metered):
    """A provider in this process; as a context manager it is started and stopped.

    Args:
        bill: The file for the bill; an existing one is continued. None keeps it in memory.
        port: The port on 127.0.0.1; 0 finds a free one.
        prices: USD per million tokens by model; `"*"` is every other model (default 2.50 in,
            10.00 out).
        text: Makes up the answer's text from the request and the number of the billed call.
        hook: Called with each billed call (None where nothing was billed) on the server's
            thread, before the answer goes out.
        latency: Seconds before the first byte of every answer.
        gzip: Compress answers for clients that accept it.
        fragment: Bytes in each chunk of a stream, so that events come in pieces; 0 sends each
            event in one.
    """

    def __init__(
        self,
        bill: Path | None = None,
        *,
        port: int = 0,
        prices: Mapping[str, Price] = DEFAULT_PRICES,
        text: Say = say,
        hook: Hook | None = None,
        latency: float = 0.0,
        gzip: bool = False,
        fragment: int = 0,
    ) -> None:
        self._desk = Desk(Bill(bill), prices, text, hook, latency, gzip, fragment)
        self._port = port
        self._server: ProviderServer | None = None
        self._holds: list[Hold] = []

    @classmethod
    def spawn(
        cls,
        bill: Path,
        *,
        port: int = 0,
        prices: Mapping[str, Price] = DEFAULT_PRICES,
        latency: float = 0.0,
        gzip: bool = False,
        fragment: int = 0,
    ) -> SpawnedProvider:
        """Start a provider in a process of its own; see `spawn_provider`."""
        from payonce.testing.provider_process import spawn_provider

        return spawn_provider(
            bill, port=port, prices=prices, latency=latency, gzip=gzip, fragment=fragment
        )

    def start(self) -> Self:
        """Listen, and serve on a thread.

        Raises:
            RuntimeError: it was started before.
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("this provider was started before; make a new one on its bill")
        self._server = ProviderServer(self._port, self._desk)
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="metered-provider", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Close the socket and every connection, and release every hold."""
        if self._server is None or self._desk.stopping.is_set():
            return
        self._desk.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.disconnect()
        for hold in self._holds:
            hold.release()
        self._desk.bill.close()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`.

        Raises:
            RuntimeError: it was not started.
        """
        if self._server is None:
            raise RuntimeError("this provider was not started: use it in a with statement")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def prices(self) -> Mapping[str, Price]:
        """What it charges for calls of a model, by the model's name; `"*"` is every other one."""
        return self._desk.prices

    @property
    def bill(self) -> list[BilledCall]:
        """All billed calls, oldest first."""
        return self._desk.bill.calls

    @property
    def requests(self) -> list[SeenRequest]:
        """All physical requests, refused ones included, in the order of their arrival."""
        return self._desk.seen

    def fail(self, label: str | None, fault: Fault | Hold, times: int | None = 1) -> None:
        """Let the next `times` requests with this label meet a fault; None is any, and ever."""
        if isinstance(fault, Hold):
            self._holds.append(fault)
            fault = fault.fault
        self._desk.faults.add(label, fault, times)

    def hold(
        self,
        label: str | None = None,
        *,
        billed: bool = True,
        after_events: int | None = None,
    ) -> Hold:
        """Let the next request with this label wait, billed, until it is released."""
        held = Hold(billed=billed, after_events=after_events)
        self.fail(label, held)
        return held

    def heal(self) -> None:
        """Forget all faults that wait."""
        self._desk.faults.clear()

    def __enter__(self) -> Self:
        return self if self._server is not None else self.start()


if __name__ == "__main__":
    from payonce.testing.provider_process import main

    main()
