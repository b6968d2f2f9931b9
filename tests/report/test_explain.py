"""What payonce makes of a pasted traceback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import traceback
from collections import Counter

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tests.decisions.records import records

from payonce.cli import main
from payonce.errors import ConfigError
from payonce.failure import classify
from payonce.failure.pasted import read_pasted
from payonce.report.explained import explain
from payonce.testing import stand_in

SQLALCHEMY = """Traceback (most recent call last):
  File "/app/.venv/lib/python3.11/site-packages/sqlalchemy/engine/base.py", line 1967, in _exec
    self.dialect.do_execute(cursor, statement)
psycopg.errors.UndefinedColumn: column "outline" of relation "course" does not exist
LINE 1: INSERT INTO course (id, outline) VALUES
                                ^

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/shop/jobs.py", line 41, in generate_course
    db.commit()
sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedColumn) column "outline" of relation \
"course" does not exist
LINE 1: INSERT INTO course (id, outline) VALUES
                                ^
[SQL: INSERT INTO course (id, outline) VALUES (%(id)s, %(outline)s)]
[parameters: {'id': 42, 'outline': 'secret'}]
(Background on this error at: https://sqlalche.me/e/20/f405)
"""
QUOTA = (
    "openai.RateLimitError: Error code: 429 - {'error': {'message': 'You exceeded your current "
    "quota.', 'type': 'insufficient_quota', 'param': None, 'code': 'insufficient_quota'}}"
)


def payonce(*arguments: str, input: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, arguments, input=input, prog_name="payonce")


def _prefixed(text: str) -> str:
    times = (f"2026-11-24 08:00:0{n % 10},12{n % 7} ERROR w: " for n in range(100))
    return "\n".join(f"{next(times)}{line}" for line in text.splitlines())


FORMS = {
    "plain": SQLALCHEMY,
    "log prefixes": _prefixed(SQLALCHEMY),
    "one JSON line": json.dumps({"level": "error", "msg": "failed", "exc_info": SQLALCHEMY}),
    "JSON among others": f'{{"msg": "starting"}}\n{json.dumps({"textPayload": SQLALCHEMY})}\nbye',
    "escaped ends": json.dumps(SQLALCHEMY)[1:-1],
    "no head": SQLALCHEMY.partition("Traceback")[2].split("\n", 3)[3],
    "last lines": SQLALCHEMY[SQLALCHEMY.index("sqlalchemy.exc.") :],
    "Windows ends": SQLALCHEMY.replace("\n", "\r\n"),
    "after another": f"Traceback (most recent call last):\nKeyError: 'a'\n\n{SQLALCHEMY}",
    "in a log": f"INFO up\nINFO got work\n{SQLALCHEMY}INFO going on: all is well\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_column_is_known_in_every_form(form: str) -> None:
    """SQLAlchemy's error gives the driver's own class, whatever a log has made of the text."""
    found = explain(FORMS[form]).diagnosis
    assert (found.kind, found.evidence) == ("deterministic", "SQLSTATE 42703")
    assert found.reason == 'column "outline" of table "course" does not exist'


@pytest.mark.parametrize(
    ("text", "kind", "evidence"),
    [
        (QUOTA, "deterministic", "openai insufficient_quota"),
        (QUOTA.replace("insufficient_quota", "slow_down"), "throttled", "openai slow_down"),
        ("anthropic.InternalServerError: Error code: 529 - {'type': 'error', 'error': {'type': "
         "'overloaded_error', 'message': 'Overloaded'}}", "transient", "anthropic overloaded"),
        ("django.db.utils.OperationalError: no such column: course.outline", "deterministic", ""),
        ("psycopg.OperationalError: connection failed: FATAL:  the database system is starting up",
         "transient", "SQLSTATE 57P03"),
        ("pymysql.err.OperationalError: (1213, 'Deadlock found when trying to get lock')",
         "transient", "MySQL 1213"),
        ("botocore.exceptions.ClientError: An error occurred (ThrottlingException) when calling "
         "the Converse operation: Too many requests", "throttled", "aws ThrottlingException"),
        ("sqlite3.OperationalError: database is locked", "transient", "database is locked"),
        ("requests.exceptions.HTTPError: 404 Client Error: Not Found for url: http://x/",
         "deterministic", "HTTP 404"),
        ("google.genai.errors.ServerError: 503 UNAVAILABLE. {'error': {'code': 503, 'message': "
         "'overloaded', 'status': 'UNAVAILABLE'}}", "transient", "HTTP 503"),
        ("ModuleNotFoundError: No module named 'shop'", "deterministic", "ModuleNotFoundError"),
        ("shop.errors.CourseFailed: no luck", "unknown", "shop.errors.CourseFailed"),
    ],
)  # fmt: skip
def test_the_last_line_alone_tells_much(text: str, kind: str, evidence: str) -> None:
    """Codes and statuses stand in the messages of drivers and SDKs."""
    found = explain(text).diagnosis
    assert found.kind == kind
    assert found.evidence.startswith(evidence)


def test_causes_and_contexts_are_read() -> None:
    """An error of one's own is explained by what it was raised from, or while handling."""
    program = "try:\n    int('x')\nexcept ValueError as exc:\n    raise RuntimeError "
    for joint in ("from exc", ""):
        text = _raised(program + joint)
        assert explain(text).chain == ["RuntimeError", "ValueError"]
        assert explain(text).diagnosis.evidence == "ValueError"


def test_groups_are_read_with_their_members() -> None:
    """Also a group in a group."""
    inner = "ExceptionGroup('two', [TypeError('x'), ValueError('y')])"
    text = _raised(f"raise ExceptionGroup('one', [{inner}, TimeoutError('slow')])")
    pasted = read_pasted(text)
    assert pasted is not None
    members = pasted.record["members"]
    names = [each["mro"][0] for each in (*members, *members[0]["members"])]
    assert [name.removeprefix("builtins.") for name in names] == [
        "ExceptionGroup",
        "TimeoutError",
        "TypeError",
        "ValueError",
    ]
    assert explain(text).diagnosis.kind == "unknown"


def _raised(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def test_a_text_says_hardly_ever_the_opposite_of_the_exception() -> None:
    """Of all records, as Python prints them: 85 of 100 keep their kind, most others are unknown."""
    told: Counter[str] = Counter()
    opposite = []
    for name in ("corpus", "libraries", "more_libraries"):
        for record in records(name):
            exc = stand_in(record)
            live = classify(exc).kind
            read = explain("".join(traceback.format_exception(exc))).diagnosis.kind
            told["same" if live == read else "other"] += 1
            if (
                live != read
                and {"transient", "throttled"} & {live, read}
                and "deterministic"
                in (
                    live,
                    read,
                )
            ):
                opposite.append(record["name"])
    assert told["same"] >= 0.85 * told.total()
    assert len(opposite) <= 0.01 * told.total(), opposite


LINES = SQLALCHEMY.splitlines(keepends=True)
PIECES = st.sampled_from([*LINES, QUOTA, "\\n", "{", "  +-+---- 1 ----", "    +---- 2 ----"])


@given(st.text() | st.lists(PIECES | st.text(max_size=9), max_size=20).map("".join))
def test_any_text_is_explained_or_refused(text: str) -> None:
    """Whatever is pasted, it ends in an explanation or in a clear error."""
    try:
        reason = explain(text).diagnosis.reason
    except ConfigError:
        return
    assert reason


def test_the_command_prints_what_it_found() -> None:
    """Kind, reason, evidence, place, verdict and what to mend."""
    printed = payonce("explain", "-", input=SQLALCHEMY)
    assert printed.exit_code == 0
    for told in ("deterministic", "SQLSTATE 42703", "/app/shop/jobs.py:41", "park", "Migrate"):
        assert told in printed.stdout


def test_json_is_for_programs() -> None:
    """The same, as one object."""
    printed = payonce("explain", "--json", input=QUOTA)
    document = json.loads(printed.stdout)
    assert (document["kind"], document["wakes_on"]) == ("deterministic", ["account"])
    assert (document["verdict"], document["tracebacks"]) == ("park", 1)


def test_secrets_are_masked() -> None:
    """A key in a pasted text isn't printed again."""
    key = "sk-proj-abcdef0123456789abcdef"
    for options in ((), ("--json",)):
        printed = payonce("explain", *options, input=f"openai.APIError: bad key {key}, or {key}")
        assert printed.exit_code == 0
        assert key not in printed.output


@pytest.mark.parametrize("text", ["", "all is well\n", "\x00\xff"])
def test_what_is_no_traceback_is_a_clear_error(text: str) -> None:
    """It says so, and what to paste, with exit code 1."""
    printed = payonce("explain", input=text)
    assert printed.exit_code == 1
    assert "Paste a whole Python traceback" in printed.stderr


def test_a_file_that_is_not_there_is_code_2() -> None:
    """As for any argument that is wrong."""
    assert payonce("explain", "/nosuch/file.txt").exit_code == 2


def test_a_live_error_of_sqlite_round_trips() -> None:
    """Its code isn't in the text; its message tells."""
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT outline FROM course")
    connection.close()
    text = "".join(traceback.format_exception(caught.value))
    assert explain(text).diagnosis.reason == 'table "course" does not exist'
