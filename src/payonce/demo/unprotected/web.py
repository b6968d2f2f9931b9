"""Front of the demo, the user's part: where the queue delivers the batches."""

from __future__ import annotations

import logging
from typing import Annotated

from batch import engine, generate_course  # type: ignore[import-not-found]
from fastapi import FastAPI, Header
from pydantic import BaseModel
from sqlalchemy import ExceptionContext, event

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
log = logging.getLogger("courses")
web = FastAPI()


class Batch(BaseModel):
    """The body of a task."""

    course_id: int
    tenant: str


@event.listens_for(engine, "handle_error")
def log_failing_write(context: ExceptionContext) -> None:
    """Leave a line for each statement that the database refused."""
    log.error("write failed: %s", context.original_exception)


@web.post("/batches")
def batches(
    batch: Batch,
    x_cloudtasks_taskname: Annotated[str, Header()] = "",
    x_cloudtasks_taskretrycount: Annotated[str, Header()] = "",
) -> str:
    """Work on one delivery of a task."""
    log.info("task %s, retry count %s", x_cloudtasks_taskname, x_cloudtasks_taskretrycount)
    outline: str = generate_course(batch.course_id, batch.tenant)
    return outline
