"""Workers that spend from the same budgets: sixteen threads of one process, say.

Each takes deliveries of runs whose calls are paid for, and brings one again that was told to come
later, as a queue would. What came of them is printed at the end.
"""

import http.client
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from payonce import Busy, Parked, Payonce, RetryLater
from payonce.money import Money
from payonce.testing.prices import tell

_, me, processes, threads = sys.argv[0], *(int(given) for given in sys.argv[1:4])
TOLD = json.loads(os.environ["TOLD"])

app = Payonce(version="1", lease=float(os.environ.get("LEASE", "30")))
for budget in TOLD["budgets"]:
    app.budget(**budget)
local = threading.local()


def ask(prompt: str) -> dict[str, int]:
    """The provider's word on what it has billed for an answer."""
    there = urlsplit(os.environ["OPENAI_BASE_URL"])
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(there.netloc, timeout=60)
    body = json.dumps({"model": "gpt-5", "input": prompt})
    headers = {"Content-Type": "application/json"}
    local.connection.request("POST", f"{there.path}/responses", body, headers)
    with local.connection.getresponse() as answer:
        return json.load(answer)["usage"]


def cost(usage: dict[str, int]) -> Money:
    """What the provider bills for a call: a price of its own, or 2.50 and 10 USD a million."""
    if "fixed" in TOLD:
        return Money.parse(TOLD["fixed"])
    return Money(2_500 * usage["input_tokens"] + 10_000 * usage["output_tokens"])


ceiling = TOLD.get("ceiling")


@app.step(cost=cost, ceiling=ceiling, in_doubt="retry")
def write(run: int, part: int) -> dict[str, int]:
    """One paid text, longer for some runs than for others."""
    return ask(f"[text] {'of a course ' * (run * 7 % 11)}, {run}.{part}")


def captured(run: int, part: int) -> None:
    """The same by OpenAI's SDK; the most that it can cost is in the request."""
    prompt = f"[text] {'of a course ' * (run * 7 % 11)}, {run}.{part}"
    client.responses.create(model="gpt-5", input=prompt, max_output_tokens=MOST_TOKENS)


if MOST_TOKENS := TOLD.get("most_tokens"):
    import openai

    client = openai.OpenAI(api_key="sk-metered", timeout=60)
    app.capture()
    tell(app.prices)


@app.job(key="{run}", tenant="tenant-{tenant}", budget=TOLD.get("run"), wait=5, attempts=8)
def work(run: int, tenant: int) -> int:
    """A run of some calls."""
    pay = captured if MOST_TOKENS else write
    return len([pay(run, part) for part in range(TOLD["calls"])])


def delivered(run: int) -> str:
    """What comes of one run in the end."""
    chance = random.Random(run)
    for _ in range(400):
        try:
            work(run, run % TOLD["tenants"])
        except (RetryLater, Busy):
            time.sleep(chance.uniform(0.02, 0.2))
        except Parked as told:
            return "parked" if "budget" in told.reason else told.reason
        else:
            return "done"
    return "never"


print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
with ThreadPoolExecutor(threads) as lanes:
    counts = Counter(lanes.map(delivered, range(me, TOLD["runs"], processes)))
app.close()
print(json.dumps({"counts": counts, "seconds": time.monotonic() - began}), flush=True)
