"""The course without payonce."""

import json
import sqlite3
from contextlib import closing

from llm import ask


def generate(course_id: int) -> list[str]:
    texts = [ask(f"[{part}] of course {course_id}") for part in PARTS]
    with closing(sqlite3.connect("school.db")) as db, db:
        db.execute("INSERT INTO courses (id, outline) VALUES (?, ?)", (course_id, texts[0]))
    return texts


PARTS = ("one", "two", "three", "four", "five")
try:
    print(json.dumps({"told": "done", "value": generate(42)}))
except sqlite3.Error as error:
    print(json.dumps({"told": type(error).__name__, "text": str(error)}))
