"""Courses and orders, as a user would write them."""

import os
import signal
import sqlite3

import payonce
from payonce import Payonce

app = Payonce("sqlite:///payonce.db", version=os.environ.get("SHOP_VERSION", "1"))
app.watch("sqlite:///shop.db")


class Opaque:
    """A value that no JSON can hold."""

    def __repr__(self):
        return "<opaque>"


@app.step(cost="0.02 USD")
def ask(n: int) -> str:
    return f"answer {n}"


@app.step
def charge(n: int) -> str:
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"charge {n}"


@app.step
def draw(n: int):
    return Opaque()


@app.job(key="course:{course_id}", tenant="{tenant}")
def course(course_id: int, tenant: str) -> str:
    answers = [ask(n) for n in range(3)]
    print("writing", course_id)
    db = sqlite3.connect("shop.db")
    try:
        db.execute("INSERT INTO courses (id, outline) VALUES (?, ?)", (course_id, answers[0]))
        db.commit()
    finally:
        db.close()
    return " ".join(answers)


@app.job(key="order:{n}")
def order(n: int) -> str:
    return charge(n)


@app.job(key="sketch:{n}", attempts=1)
def sketch(n: int) -> int:
    draw(n)
    if os.environ.get("BREAK"):
        raise KeyError("colour")
    return n


@app.job(key="course:{n}")
def review(n: int) -> str:
    for _ in range(2):
        answer = ask(n)
        payonce.reject(answer, "too short")
    return "good"
