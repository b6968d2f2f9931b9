"""What payonce adds to a paid step, beside the floor of one durable commit and beside DBOS.

    python bench/steps.py [--steps N] [--rounds N] [--only sqlite|postgres] [--skip-dbos] [--json]

Each contender has a process and a database of its own; the rounds take turns, so that what else
the machine does hits all alike. Medians and ratios; `quiet` has the same at the tenth percentile,
which a busy machine blurs less. PostgreSQL is a private server that waits for its disk. The peer is
DBOS (`pip install "payonce[bench]"`), without which its figures are null; on SQLite it takes part
twice, as it comes and on a file that was set to WAL beforehand (`dbos_wal`).
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.children import Child, children, has_dbos, imports, machine, versions
from tests.databases.postgres import NoPostgres, PostgresServer, postgres

DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
Stores = Mapping[str, str]
Times = dict[str, dict[str, list[float]]]
FLOOR, STEP, REPLAY = ("floor", "step"), ("payonce", "step"), ("payonce", "replay")


def main() -> None:
    """Measure and print."""
    given = _arguments()
    dbos = has_dbos() and not given.skip_dbos
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="payonce-bench-") as named:
        folder = Path(named)
        result["machine"] = machine(folder)
        if given.only != "postgres":
            _tell("SQLite")
            result["sqlite"] = measure(_sqlite_stores(folder, dbos=dbos), given)
        if given.only != "sqlite":
            _tell("PostgreSQL")
            with _server() as server:
                stores = server and _postgres_stores(server, dbos=dbos)
                result["postgres"] = stores and measure(stores, given, parallel=True)
                result["versions"] = versions(server and _version_of(server))
        else:
            result["versions"] = versions(None)
        _tell("imports")
        result["imports"] = imports(given.imports, dbos=dbos)
        result["machine"]["load_after"] = machine(folder)["load_before"]
    print(json.dumps(result, indent=2) if given.json else _page(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100, help="steps of one run")
    parser.add_argument("--rounds", type=int, default=10, help="how often each has its turn")
    parser.add_argument("--receipts", type=int, default=10_000, help="of the run that is replayed")
    parser.add_argument("--deliveries", type=int, default=2000, help="of the parked run")
    parser.add_argument("--fanout", type=int, default=200, help="steps at once")
    parser.add_argument("--threads", type=int, default=8, help="in each of two processes")
    parser.add_argument("--imports", type=int, default=10, help="how often each is imported")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--skip-dbos", action="store_true")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (SQLite)")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _tell(what: str) -> None:
    print(f"measuring: {what} …", file=sys.stderr, flush=True)


def _sqlite_stores(folder: Path, *, dbos: bool) -> Stores:
    names = ["floor", "payonce", *(["dbos", "dbos_wal"] if dbos else [])]
    if dbos:
        with closing(sqlite3.connect(folder / "dbos_wal.db")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    return {name: f"sqlite:///{folder / name}.db" for name in names}


def _postgres_stores(server: PostgresServer, *, dbos: bool) -> Stores:
    names = ["floor", "payonce", *(["dbos"] if dbos else [])]
    return {name: server.database() for name in names}


@contextmanager
def _server() -> Iterator[PostgresServer | None]:
    """A server whose commits wait for the disk; None on a machine without PostgreSQL."""
    try:
        with postgres(**DURABLE) as server:
            yield server
    except NoPostgres as exc:
        _tell(str(exc))
        yield None


def _version_of(server: PostgresServer) -> str:
    [(version,)] = server.execute("SHOW server_version")
    return str(version)


def measure(stores: Stores, given: argparse.Namespace, *, parallel: bool = False) -> dict[str, Any]:
    """All figures of one kind of database."""
    with children(list(stores.items())) as found:
        contenders = {child.name: child for child in found}
        times = _rounds(contenders, given)
        fanouts = _fanouts(contenders, given)
        payonce = contenders["payonce"]
        more: dict[str, Any] = {
            "open_and_replay_s": payonce.do("receipts", "receipts", given.receipts),
            "parked_deliveries_per_s": payonce.do("parked", "parked", given.deliveries),
        }
        for child in found:
            more[f"{child.name}_peak_mb"] = child.do("peak")
    more |= {f"{name}_fanout_ms": ms for name, ms in fanouts.items()}
    if parallel:
        more |= _parallel(stores, given)
    asked = {name: getattr(given, name) for name in ("steps", "rounds", "fanout", "receipts")}
    return {
        **asked,
        **figures(times, statistics.median),
        "quiet": figures(times, quiet),
        **{name: _rounded(value) for name, value in more.items()},
    }


def _rounds(contenders: Mapping[str, Child], given: argparse.Namespace) -> Times:
    """Each in turn, the first time to warm up."""
    times: Times = {name: {} for name in contenders}
    for n in range(given.rounds + 1):
        for name, child in contenders.items():
            taken = child.do("round", f"round:{n}", given.steps)
            for what, found in taken.items() if n else ():
                times[name].setdefault(what, []).extend(found)
    return times


def _fanouts(contenders: Mapping[str, Child], given: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of one asynchronous run that makes all its steps at once."""
    took: dict[str, list[float]] = {name: [] for name in contenders if name != "floor"}
    for n in range(min(given.rounds, 5) + 1):
        for name, found in took.items():
            ms = contenders[name].do("fanout", f"fanout:{n}", given.fanout)
            if n:
                found.append(ms)
    return {name: statistics.median(found) for name, found in took.items()}


def _parallel(stores: Stores, given: argparse.Namespace) -> dict[str, float]:
    """Steps a second of two processes with so many threads, each contender by itself in turn."""
    rates: dict[str, list[float]] = {name: [] for name in stores}
    with children([pair for pair in stores.items() for _ in range(2)]) as found:
        for n in range(min(given.rounds, 5) + 1):
            for name in stores:
                pair = [child for child in found if child.name == name]
                rate = _together(pair, f"threads:{n}", given)
                if n:
                    rates[name].append(rate)
    medians = {name: statistics.median(taken) for name, taken in rates.items()}
    over = {f"{n}_per_s_over_floor": medians[n] / medians["floor"] for n in stores if n != "floor"}
    return {f"{name}_per_s": rate for name, rate in medians.items()} | over


def _together(pair: list[Child], key: str, given: argparse.Namespace) -> float:
    for n, child in enumerate(pair):
        child.ask("threads", f"{key}:{n}", given.threads, given.steps)
    spans = [child.hear() for child in pair]
    seconds = max(span["until"] for span in spans) - min(span["since"] for span in spans)
    return len(pair) * given.threads * given.steps / seconds


def figures(times: Times, at: Callable[[list[float]], float]) -> dict[str, float | None]:
    """The times in ms, as `at` reads many, and their ratios; None for a peer that isn't there."""

    def read(name: str, what: str) -> float | None:
        found = times.get(name, {}).get(what)
        return at(found) if found else None

    floor, ours, replay = (at(times[n][w]) for n, w in (FLOOR, STEP, REPLAY))
    found: dict[str, float | None] = {
        "floor_ms": floor,
        "payonce_step_ms": ours,
        "payonce_replay_ms": replay,
        "payonce_step_over_floor": ours / floor,
    }
    for peer in ("dbos", *(name for name in times if name == "dbos_wal")):
        theirs, replayed = read(peer, "step"), read(peer, "replay")
        found |= {
            f"{peer}_step_ms": theirs,
            f"{peer}_replay_ms": replayed,
            f"{peer}_step_over_floor": theirs and theirs / floor,
            f"{peer}_overhead_over_payonce": theirs and (theirs - floor) / max(ours - floor, 1e-6),
            f"{peer}_replay_over_payonce": replayed and replayed / replay,
        }
    return {name: _rounded(value) for name, value in found.items()}


def quiet(found: list[float]) -> float:
    """The tenth percentile."""
    return sorted(found)[len(found) // 10]


def _rounded(value: float | None) -> float | None:
    """Four figures: the rest is noise."""
    return None if value is None else float(f"{value:.4g}")


def _page(result: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = []
    for part, found in result.items():
        lines.append(f"== {part}")
        for name, value in (found or {"no server on this machine": ""}).items():
            below = value.items() if isinstance(value, dict) else [("", value)]
            lines += [
                f"{f'{name} {key}':40} {'-' if told is None else told}" for key, told in below
            ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
