"""One cause has one fingerprint in all processes, and another cause has another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.fingerprint import of_failure

JOBS = """
import asyncio, datetime, os, pathlib, sqlite3, sys, tempfile, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor
import pydantic, sqlalchemy as sa

NUMBER = int(sys.argv[1])
HERE = pathlib.Path(sys.argv[2])

class Course:
    pass

class Outline(pydantic.BaseModel):
    chapters: int

class SaveError(RuntimeError):
    pass

def a_missing_column():
    db = sqlite3.connect(HERE / "school.db")
    db.execute("CREATE TABLE courses (id)")
    db.execute("INSERT INTO courses (id, outline) VALUES (?, ?)", (NUMBER, str(uuid.uuid4())))

def behind_sqlalchemy():
    with sa.create_engine("sqlite://").begin() as db:
        db.execute(sa.text("SELECT outline FROM courses WHERE id = :id"), {"id": NUMBER})

def an_object_with_its_address():
    raise RuntimeError(f"can't save {Course()}, nor {[Course(), object()]}")

def an_id_and_a_time():
    now = datetime.datetime.now().isoformat()
    raise SaveError(f"request {uuid.uuid4()} failed at {now} after {time.time():.3f}s")

def a_temporary_file():
    with tempfile.NamedTemporaryFile(dir=HERE) as file:
        name = file.name
    open(name)

def a_temporary_folder_in_a_sentence():
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        raise RuntimeError(f"{folder}/outline.md is empty")

def a_process_and_a_thread():
    raise RuntimeError(f"pid {os.getpid()} in thread {threading.get_ident()} lost its lock")

def a_generated_name():
    raise RuntimeError(f"table tmp_{uuid.uuid4().hex[:12]} of job-{uuid.uuid4().hex[:10]} is gone")

def a_set_of_names():
    missing = {"outline", "chapters", "title", "teacher", "year"}
    raise RuntimeError(f"columns are missing: {missing}")

def a_key_of_the_input():
    {}[f"course:{NUMBER}"]

def an_answer_of_another_kind():
    Outline.model_validate({"chapters": f"chapter {NUMBER}"})

def wrapped():
    try:
        a_missing_column_again()
    except sqlite3.Error as exc:
        raise SaveError(f"course {NUMBER} could not be saved") from exc

def a_missing_column_again():
    sqlite3.connect(":memory:").execute("SELECT outline FROM (SELECT 1 AS id)")

def in_another_thread():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: {}["outline"], range(2)))

def in_a_group():
    async def one():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            group.create_task(asyncio.sleep(60))
    async def fails():
        raise SaveError(f"{Course()} is late")
    asyncio.run(one())

CAUSES = [a_missing_column, behind_sqlalchemy, an_object_with_its_address, an_id_and_a_time,
    a_temporary_file, a_temporary_folder_in_a_sentence, a_process_and_a_thread, a_generated_name,
    a_set_of_names, a_key_of_the_input, an_answer_of_another_kind, wrapped, in_another_thread,
    in_a_group]
"""

MAIN = """
import json
from payonce import classify
from payonce.fingerprint import of_failure

def told():
    found = {}
    for cause in CAUSES:
        try:
            cause()
        except BaseException as exc:
            known = [str(NUMBER), f"course:{NUMBER}"]
            found[cause.__name__] = classify(exc, known=known).fingerprint
    return found
"""

EDIT = '''
def another_feature():
    """That has nothing to do with what fails."""
    return [n * n for n in range(9)]

'''


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The fingerprints that three processes give to the same causes.

    Each has a seed of its hashes, ids, addresses, times and temporary folders of its own, lives in
    another folder, has another input, and a file that was edited elsewhere; the first imports the
    module that the others start as a program.
    """
    found = []
    for number, edit in enumerate(("", EDIT, "\n\n\n# A comment.\n" + EDIT * 3), start=1):
        folder = tmp_path_factory.mktemp(f"release-{number}")
        program = edit + JOBS + edit + MAIN
        program += "if __name__ == '__main__':\n    print(json.dumps(told()))\n"
        (folder / "school_jobs.py").write_text(program)
        how = ["-c", "import json, school_jobs; print(json.dumps(school_jobs.told()))"]
        way = how if number == 1 else ["school_jobs.py"]
        done = subprocess.run(
            [sys.executable, *way, str(4000 + 711 * number), str(folder)],
            cwd=folder,
            env=os.environ | {"PYTHONHASHSEED": str(number), "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found.append(json.loads(done.stdout))
    return found


def test_one_cause_has_one_fingerprint_in_all_processes(told: list[dict[str, str]]) -> None:
    """Seeds, ids, times, addresses, temporary paths, generated names and lines don't count."""
    one, *others = told
    assert len(one) == 14
    for other in others:
        assert {name for name in one if one[name] != other[name]} == set()


def test_each_cause_has_its_own(told: list[dict[str, str]]) -> None:
    """Fourteen causes, fourteen fingerprints, in each process."""
    for each in told:
        assert len(set(each.values())) == len(each)


# What differs by chance, and what differs by cause ------------------------------------------

HEX = "0123456789abcdef"
CHANCE: dict[str, st.SearchStrategy[str]] = {
    "row {}": st.integers(0, 10**12).map(str),
    "took {} s": st.floats(0, 10**6, allow_nan=False).map(lambda value: f"{value:.3f}"),
    "job {}": st.uuids().map(str),
    "<Course object at {}>": st.integers(2**24, 2**48).map(hex),
    "at {}": st.datetimes().map(lambda value: value.isoformat()),
    "at {} UTC": st.datetimes().map(lambda value: value.isoformat(sep=" ", timespec="seconds")),
    "from {}": st.ip_addresses(v=4).map(str),
    "request {}": st.text(HEX + "xyz", min_size=16, max_size=24).map(lambda text: f"req_0{text}"),
    "commit {}": st.text(HEX, min_size=39, max_size=39).map(lambda text: f"a{text}"),
    "'{}' is empty": st.lists(st.text("abcxyz019_", min_size=1), min_size=2, max_size=6).map(
        lambda names: "/" + "/".join(names)
    ),
    "see {}": st.integers(0, 10**9).map(lambda n: f"https://school.example/courses/{n}?page={n}"),
    "mail {}": st.integers(0, 10**9).map(lambda n: f"pupil{n}@school.example"),
}
NAMES = st.from_regex(r"[a-z]{2,12}(?:_[a-z]{2,8})?(?:_v?[0-9])?", fullmatch=True)


class DriverError(Exception):
    """A driver's error that says table and column by themselves."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(f'column "{column}" of relation "{table}" does not exist')
        self.sqlstate, self.table_name, self.column_name = "42703", table, column


def _raised(exc: BaseException, function: str = "save", module: str = "school") -> BaseException:
    """Raised in a function of this name, in a file of one's own."""
    names: dict[str, Any] = {"exc": exc, "__name__": module}
    exec(compile(f"def {function}():\n    raise exc\n", f"/srv/{module}.py", "exec"), names)
    try:
        names[function]()
    except BaseException as raised:
        return raised
    raise AssertionError


def _of(exc: BaseException, function: str = "save", module: str = "school") -> str:
    return of_failure(_raised(exc, function, module))


@given(data=st.data(), kind=st.sampled_from([RuntimeError, ValueError, OSError]))
@settings(max_examples=300, deadline=None)
def test_what_differs_by_chance_is_the_same_failure(data: Any, kind: type[Exception]) -> None:
    """Numbers, ids, addresses, times, paths, hosts and mails, one or several in a message."""
    texts = data.draw(st.lists(st.sampled_from(sorted(CHANCE)), min_size=1, max_size=3))
    one, other = (
        ", ".join(text.format(data.draw(CHANCE[text])) for text in texts) for _ in range(2)
    )
    assert _of(kind(f"the course is lost: {one}")) == _of(kind(f"the course is lost: {other}"))


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=2, unique=True))
@settings(deadline=None)
def test_other_columns_and_tables_are_another_failure(places: list[tuple[str, str]]) -> None:
    """What has to be mended differs, whether a driver says it apart or in its message alone."""
    one, other = places
    assert _of(DriverError(*one)) != _of(DriverError(*other))
    text = "table {} has no column named {}"
    assert _of(RuntimeError(text.format(*one))) != _of(RuntimeError(text.format(*other)))


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True), st.text(max_size=20))
@settings(deadline=None)
def test_other_functions_and_exceptions_are_another_failure(names: list[str], text: str) -> None:
    """The same words, raised elsewhere or of another class, at the top or as a cause."""
    one, other = (f"f_{name}" for name in names)
    assert _of(RuntimeError(text), one) != _of(RuntimeError(text), other)
    assert _of(RuntimeError(text), module=one) != _of(RuntimeError(text), module=other)
    classes = [type(f"E{name}", (Exception,), {"__module__": "school"}) for name in names]
    assert _of(classes[0](text)) != _of(classes[1](text))
    caused = []
    for kind in classes:
        top = RuntimeError(text)
        top.__cause__ = kind(text)
        caused.append(_of(top))
    assert caused[0] != caused[1]


@given(st.lists(NAMES, min_size=2, max_size=8, unique=True), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_a_set_does_not_matter(names: list[str], random: Any) -> None:
    """Each process has another; which names are in it does."""
    shuffled = random.sample(names, len(names))
    one, other = ("{" + ", ".join(map(repr, each)) + "}" for each in (names, shuffled))
    assert _of(RuntimeError(f"missing: {one}")) == _of(RuntimeError(f"missing: {other}"))
    fewer = "{" + ", ".join(map(repr, names[1:])) + "}"
    assert _of(RuntimeError(f"missing: {one}")) != _of(RuntimeError(f"missing: {fewer}"))
