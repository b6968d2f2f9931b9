"""Flask, pymysql, MariaDB, and migrations in SQL."""

import os
from typing import Any
from urllib.parse import urlsplit

import pymysql
from flask import Flask
from llm import texts

from payonce import Payonce
from payonce.queues.wsgi import DeliveryMiddleware

INSERT = "INSERT INTO courses (id, outline) VALUES (%s, %s)"


def connect() -> Any:
    at = urlsplit(os.environ["DATABASE"])
    return pymysql.connect(
        host=at.hostname, port=at.port, user=at.username, database=at.path.lstrip("/")
    )


app = Payonce("sqlite:///payonce.db", look_every=None)  # each test heals in its own way
app.capture()
if "WATCH" in os.environ:
    app.watch(connect)
NEEDS = [app.schema(connect, INSERT)] if "NEEDS" in os.environ else []


@app.job(key="course:{course_id}", name="course", needs=NEEDS)
def generate(course_id: int) -> str:
    written = texts(course_id)
    with connect() as db, db.cursor() as cursor:
        cursor.execute(INSERT, (course_id, written[0]))
        db.commit()
    return written[0]


web = Flask("batch")


@web.post("/courses/<int:course_id>")
def deliver(course_id: int) -> str:
    return generate(course_id)


served = DeliveryMiddleware(web, app=app, queue="cloud-tasks")
