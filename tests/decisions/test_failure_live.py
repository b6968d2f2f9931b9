"""Live exceptions: real databases in a file, real SDKs and clients on this machine."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

from payonce.failure import classify
from payonce.model import Diagnosis, Kind, WakesOn


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with one table, `course(id, title NOT NULL)`."""
    connection = sqlite3.connect(tmp_path / "test.db", timeout=0)
    connection.execute("CREATE TABLE course (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")
    connection.commit()
    yield connection
    connection.close()


def _failing(call: Callable[[], object]) -> Diagnosis:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return classify(caught.value)


@pytest.mark.parametrize(
    ("statement", "kind", "evidence"),
    [
        ("INSERT INTO course (outline) VALUES (1)", "deterministic", "SQLITE_ERROR: has no"),
        ("SELECT outline FROM course", "deterministic", "SQLITE_ERROR: no such column"),
        ("SELECT 1 FROM lesson", "deterministic", "SQLITE_ERROR: no such table"),
        ("SELEC 1", "deterministic", "SQLITE_ERROR: syntax error"),
        ("INSERT INTO course (id) VALUES (1)", "deterministic", "SQLITE_CONSTRAINT_NOTNULL"),
        ("INSERT INTO course VALUES (1, 'a'), (1, 'b')", "unknown", "SQLITE_CONSTRAINT_PRIMARYKEY"),
    ],
)
def test_sqlite_tells_by_its_code(
    database: sqlite3.Connection, statement: str, kind: str, evidence: str
) -> None:
    """The class is the same for most of these; the code and the message differ."""
    diagnosis = _failing(lambda: database.execute(statement))
    assert diagnosis.kind == kind
    assert diagnosis.evidence.startswith(evidence)


def test_sqlite_names_what_is_missing(database: sqlite3.Connection) -> None:
    """The reason is what a person has to migrate."""
    diagnosis = _failing(lambda: database.execute("INSERT INTO course (outline) VALUES (1)"))
    assert diagnosis.reason == 'column "outline" of table "course" does not exist'
    assert WakesOn.SCHEMA in diagnosis.wakes_on


def test_a_locked_sqlite_is_transient(database: sqlite3.Connection, tmp_path: Path) -> None:
    """The same class as a missing column, and the opposite answer."""
    database.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(tmp_path / "test.db", timeout=0)
    try:
        diagnosis = _failing(lambda: other.execute("INSERT INTO course VALUES (1, 'a')"))
    finally:
        other.close()
    assert (diagnosis.kind, diagnosis.evidence) == (Kind.TRANSIENT, "SQLITE_BUSY")


def test_a_full_sqlite_is_not_given_up(database: sqlite3.Connection) -> None:
    """Space may come back."""
    database.execute("PRAGMA max_page_count = 3")
    text = "x" * 100_000
    diagnosis = _failing(lambda: database.execute("INSERT INTO course VALUES (1, ?)", (text,)))
    assert (diagnosis.kind, diagnosis.evidence) == (Kind.TRANSIENT, "SQLITE_FULL")


def test_a_read_only_sqlite_waits_for_its_configuration(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    """It was opened that way, and will be again."""
    other = sqlite3.connect(f"file:{tmp_path / 'test.db'}?mode=ro", uri=True)
    try:
        diagnosis = _failing(lambda: other.execute("INSERT INTO course VALUES (1, 'a')"))
    finally:
        other.close()
    assert (diagnosis.kind, diagnosis.wakes_on) == (Kind.DETERMINISTIC, (WakesOn.CONFIG,))


def test_sqlalchemy_is_seen_through() -> None:
    """Its OperationalError says nothing, the driver's error inside it does."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        diagnosis = _failing(lambda: connection.execute(sqlalchemy.text("SELECT a FROM b")))
    engine.dispose()
    assert diagnosis.evidence == "SQLITE_ERROR: no such table"
    assert diagnosis.reason == 'table "b" does not exist'


def _openai(status: int, error: dict[str, Any], headers: dict[str, str]) -> Callable[[], object]:
    sdk, http = pytest.importorskip("openai"), pytest.importorskip("httpx2")
    answer = http.Response(status, json={"error": error}, headers=headers)
    client = sdk.OpenAI(
        api_key="none",
        max_retries=0,
        http_client=http.Client(transport=http.MockTransport(lambda _: answer)),
    )
    return lambda: client.responses.create(model="m", input="hello")


def _anthropic(status: int, error: dict[str, Any], headers: dict[str, str]) -> Callable[[], object]:
    sdk, http = pytest.importorskip("anthropic"), pytest.importorskip("httpx2")
    body = {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
    answer = http.Response(status, json=body, headers=headers)
    client = sdk.Anthropic(
        api_key="none",
        max_retries=0,
        http_client=http.Client(transport=http.MockTransport(lambda _: answer)),
    )
    messages = [{"role": "user", "content": "hello"}]
    return lambda: client.messages.create(model="m", max_tokens=5, messages=messages)


_CASES = [
    (_openai, 429, {"type": "insufficient_quota", "code": "insufficient_quota"}, "deterministic"),
    (_openai, 429, {"type": "requests", "code": "rate_limit_exceeded"}, "throttled"),
    (_openai, 400, {"type": "invalid_request_error", "code": None}, "deterministic"),
    (_openai, 401, {"type": "invalid_request_error", "code": "invalid_api_key"}, "deterministic"),
    (_openai, 500, {"type": "server_error", "code": None}, "transient"),
    (_openai, 503, {"type": "service_unavailable_error", "code": None}, "transient"),
    (_anthropic, 429, {"type": "rate_limit_error"}, "throttled"),
    (
        _anthropic,
        429,
        {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
        "deterministic",
    ),
    (
        _anthropic,
        400,
        {"type": "invalid_request_error", "message": "Your credit balance is too low to go on."},
        "deterministic",
    ),
    (_anthropic, 413, {"type": "request_too_large"}, "deterministic"),
    (_anthropic, 529, {"type": "overloaded_error"}, "transient"),
]


@pytest.mark.parametrize(("sdk", "status", "error", "kind"), _CASES)
def test_an_sdks_own_error_is_read(
    sdk: Callable[..., Callable[[], object]], status: int, error: dict[str, Any], kind: str
) -> None:
    """The real SDK makes its exception of the provider's answer."""
    headers = {"retry-after": "11"} if status == 429 else {}
    diagnosis = _failing(sdk(status, {"message": "No.", **error}, headers))
    assert diagnosis.kind == kind
    assert diagnosis.after == (11.0 if kind == "throttled" else None)


def test_an_sdks_request_ids_do_not_change_the_fingerprint() -> None:
    """Each answer carries another request id."""
    first, second = (
        _failing(_openai(404, {"message": f"No model. (request id: req_{each})"}, {}))
        for each in ("5638f6a8c896d7ec4a1e8c04371a7228", "cb94436616da6a5a829e7e021da54028")
    )
    assert first.fingerprint == second.fingerprint


def test_an_unread_answer_of_plain_http_is_left_unread() -> None:
    """A status error of a stream is judged by its status, without touching the body."""
    http = pytest.importorskip("httpx")
    answer = http.Response(404, request=http.Request("GET", "http://x/"), stream=_Untouched())
    assert _failing(answer.raise_for_status).evidence == "HTTP 404"


class _Untouched:
    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("the body was read")


def test_plain_http_tells_an_exhausted_quota_by_the_answer_that_was_read() -> None:
    """Without an SDK the code stands in the body alone."""
    http = pytest.importorskip("httpx")
    body = {"error": {"message": "No.", "code": "insufficient_quota"}}
    answer = http.Response(429, json=body, request=http.Request("GET", "http://x/"))
    assert _failing(answer.raise_for_status).kind is Kind.DETERMINISTIC


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_a_refused_connection_is_transient(package: str) -> None:
    """Nobody listens: an outage, or a deploy."""
    http = pytest.importorskip(package)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        diagnosis = _failing(lambda: http.get(f"http://127.0.0.1:{port}/", trust_env=False))
    assert diagnosis.kind is Kind.TRANSIENT


def test_an_answer_that_an_sdk_could_not_parse_is_stochastic() -> None:
    """The traceback shows that it was a model's answer; a redraw may fit."""
    pydantic = pytest.importorskip("pydantic")
    sdk, http = pytest.importorskip("openai"), pytest.importorskip("httpx2")
    outline = pydantic.create_model("Outline", chapters=(int, ...))
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": '{"chapters": "many"}'},
    }
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    transport = http.MockTransport(lambda _: http.Response(200, json=body))
    client = sdk.OpenAI(api_key="none", http_client=http.Client(transport=transport))
    messages = [{"role": "user", "content": "hello"}]
    parse = client.chat.completions.parse
    diagnosis = _failing(lambda: parse(model="m", messages=messages, response_format=outline))
    assert diagnosis.kind is Kind.STOCHASTIC
    assert _failing(lambda: outline.model_validate({"chapters": "many"})).kind is Kind.UNKNOWN


def test_a_client_without_a_key_waits_for_credentials() -> None:
    """The SDK says so in its message alone."""
    sdk = pytest.importorskip("openai")
    diagnosis = _failing(lambda: sdk.OpenAI(api_key=None))
    assert diagnosis.kind is Kind.DETERMINISTIC
    assert WakesOn.CREDENTIALS in diagnosis.wakes_on


class Settings(pydantic.BaseModel):
    """What a program needs to know."""

    database_url: str


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (lambda: Settings(), Kind.DETERMINISTIC),
        (lambda: Settings(**{}), Kind.DETERMINISTIC),
        (lambda: Settings.model_validate({}), Kind.UNKNOWN),
        (lambda: Settings.model_validate_json("{}"), Kind.UNKNOWN),
        (lambda: pydantic.TypeAdapter(Settings).validate_python({}), Kind.UNKNOWN),
        (lambda: pydantic.TypeAdapter(list[Settings]).validate_json("[{}]"), Kind.UNKNOWN),
        (lambda: Settings(url=""), Kind.UNKNOWN),  # type: ignore[call-arg]
        (lambda: Settings(database_url=1), Kind.UNKNOWN),  # type: ignore[arg-type]
    ],
)
def test_a_model_that_was_built_from_nothing(build: Callable[[], object], kind: Kind) -> None:
    """A configuration is missing, or the code forgot it; what was read may be an answer."""
    found = _failing(build)
    assert found.kind is kind
    if kind is Kind.DETERMINISTIC:
        assert found.reason == "Settings got nothing, and lacks database_url"
        assert found.wakes_on == (WakesOn.CONFIG, WakesOn.CODE)


DJANGO = """
import django
from django.conf import settings
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DATABASES={"default": SQLITE}, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()
from django.db import connection, models, transaction
from payonce import classify

class Course(models.Model):
    outline = models.TextField()
    class Meta:
        app_label, db_table = "school", "courses"

class Log(models.Model):
    class Meta:
        app_label, db_table = "school", "log"

def at_once():
    Course.objects.create(outline="")

def while_it_is_handled():
    try:
        Course.objects.create(outline="")
    except Exception:
        Log.objects.create()

def swallowed():
    try:
        Course.objects.create(outline="")
    except Exception:
        pass
    Log.objects.create()

connection.cursor().execute("CREATE TABLE courses (id INTEGER PRIMARY KEY)")
connection.cursor().execute("CREATE TABLE log (id INTEGER PRIMARY KEY)")
for job in (at_once, while_it_is_handled, swallowed):
    try:
        with transaction.atomic():
            job()
    except Exception as exc:
        print(type(exc).__name__, classify(exc).kind, classify(exc).evidence.split(":")[0])
"""


def test_what_django_says_after_a_failure_that_was_swallowed_stays_open() -> None:
    """The missing column parks at once, unless the code had caught it and gone on."""
    done = subprocess.run(
        [sys.executable, "-c", DJANGO], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == [
        "OperationalError deterministic SQLITE_ERROR",
        "TransactionManagementError deterministic SQLITE_ERROR",
        "TransactionManagementError unknown SQLITE_ERROR",
    ]
