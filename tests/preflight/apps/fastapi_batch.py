"""FastAPI, SQLAlchemy, PostgreSQL, Alembic."""

import os

from fastapi import FastAPI
from llm import texts
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from payonce import Payonce
from payonce.queues.asgi import DeliveryMiddleware

engine = create_engine(os.environ["DATABASE"])
app = Payonce("sqlite:///payonce.db", look_every=None)  # each test heals in its own way
app.capture()
if "WATCH" in os.environ:
    app.watch(engine)


class Base(DeclarativeBase):
    pass


class Course(Base):
    __tablename__ = "courses"
    id: Mapped[int] = mapped_column(primary_key=True)
    outline: Mapped[str]


NEEDS = [app.schema(engine, Course)] if "NEEDS" in os.environ else []


@app.job(key="course:{course_id}", name="course", needs=NEEDS)
def generate(course_id: int) -> str:
    written = texts(course_id)
    with Session(engine) as db:
        db.add(Course(id=course_id, outline=written[0]))
        db.commit()
    return written[0]


api = FastAPI()


@api.post("/courses/{course_id}")
def deliver(course_id: int) -> str:
    return generate(course_id)


served = DeliveryMiddleware(api, app=app, queue="cloud-tasks")
