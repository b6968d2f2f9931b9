"""Testing: one task's deliveries from a process of their own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from payonce.testing.queue import AtLeastOnceQueue
from payonce.testing.task import Task


def main(arguments: Sequence[str] | None = None) -> None:
    """Deliver, write the log, and print a summary as JSON."""
    options = _parser().parse_args(arguments)
    queue = AtLeastOnceQueue(
        options.queue,
        clock=options.clock,
        dispatch_deadline=options.dispatch_deadline,
        max_attempts=options.max_attempts,
    )
    task = queue.push(options.url, options.payload, name=options.name)
    queue.run(max_deliveries=options.max_deliveries)
    if options.again and queue.deliveries[-1].succeeded:
        queue.deliver(task, options.again, anyway=True)
    if options.log is not None:
        queue.log(options.log)
    sys.stdout.write(json.dumps(_summary(queue, task)) + "\n")


def _summary(queue: AtLeastOnceQueue, task: Task) -> dict[str, Any]:
    return {
        "task": task.name,
        "deliveries": [
            {
                "number": delivery.number,
                "status": delivery.status,
                "virtual_seconds": delivery.virtual_seconds,
            }
            for delivery in queue.deliveries
        ],
        "wanted": sum(delivery.wanted for delivery in queue.deliveries),
        "succeeded": any(delivery.succeeded for delivery in queue.deliveries),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m payonce.testing.queue",
        description="Deliver a task over HTTP, at least once, by Cloud Tasks' rules.",
    )
    add = parser.add_argument
    add("--url", required=True, help="where the task goes")
    add("--payload", type=json.loads, default={}, metavar="JSON", help="the task's body")
    add("--name", help="the task's short id")
    add("--queue", default="projects/demo/locations/local/queues/batches", help="full name")
    add("--max-deliveries", type=int, help="stop after so many")
    add("--max-attempts", type=int, default=100, help="the queue's own limit; -1 is unlimited")
    add("--again", type=int, default=0, help="duplicates to deliver after the success")
    add("--dispatch-deadline", type=float, default=600.0, help="real seconds without an answer")
    add("--clock", choices=["virtual", "real"], default="virtual", help="skip the waiting, or not")
    add("--log", type=Path, help="file for the task_operations_log")
    return parser
