"""A process that finds what is out of the ordinary, and tells a hook of it.

When it has found it, it says so, and waits for a word. `DIES` lets the hook kill it before it has
told anybody; `LATER` is how many seconds its clock is ahead.
"""

import os
import sys
import time
from pathlib import Path

from payonce import Payonce
from payonce.alarm import Alarms
from payonce.alarming import Alarming
from payonce.notices import Notice

later = float(os.environ.get("LATER", "0"))
app = Payonce(version="1", alarms=None, look_every=None, clock=lambda: time.time() + later)


@app.notify
def tell(notice: Notice) -> None:
    if os.environ.get("DIES"):
        os.kill(os.getpid(), 9)
    with Path("told").open("a") as file:
        file.write(f"{notice.cause}\n")


found = list(Alarming(None).found(app.journal, Alarms()))
print(len(found), flush=True)
sys.stdin.readline()
for notice in found:
    app.tell(notice)
app.close()
