"""One worker of a fleet: it takes its share of the tenants' deliveries, one after the other."""

import json
import os
import sqlite3
import sys
from collections import Counter, deque
from contextlib import closing
from urllib.request import Request, urlopen

from payonce import Breaker, Parked, Payonce, RetryLater

PARTS = ("one", "two", "three")
settings = json.loads(sys.argv[1])

app = Payonce(version="1")
app.watch(f"sqlite:///{settings['school']}")


@app.step(name="write", in_doubt="retry")
def write(tenant: str, part: str) -> str:
    told = json.dumps({"model": "gpt-5", "input": f"[{tenant}] {part} of a course"}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-metered"}
    url = f"{os.environ['OPENAI_BASE_URL']}/responses"
    with urlopen(Request(url, told, headers), timeout=60) as answer:
        return str(json.load(answer)["id"])


@app.job(
    key="{tenant}",
    tenant="{tenant}",
    wait=2,
    on_park=settings["on_park"],
    breaker=Breaker(cautious=settings["cautious"]),
)
def generate(tenant: str) -> str:
    for part in PARTS:
        write(tenant, part)
    with closing(sqlite3.connect(settings["school"], timeout=30)) as db, db:
        db.execute("INSERT INTO courses (id, outline) VALUES (?, 'x')", (tenant,))
    return tenant


def main() -> None:
    """Say that it is ready, wait for the word, work, and tell how often what came of it."""
    print("ready", flush=True)
    sys.stdin.readline()
    mine = range(settings["worker"], settings["tenants"], settings["workers"])
    waiting, told = deque(f"tenant-{n}" for n in mine), Counter[str]()
    while waiting:
        tenant = waiting.popleft()
        try:
            generate(tenant)
        except Parked:
            told["parked"] += 1
        except RetryLater:
            told["retry"] += 1
            waiting.append(tenant)
        else:
            told["done"] += 1
    app.close()
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
