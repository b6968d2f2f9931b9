"""What a failure is: precedence of evidence, chains, groups, the user's rules, reasons."""

from __future__ import annotations

import asyncio
import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from payonce import errors
from payonce.failure import Rule, Rules, classify
from payonce.model import Kind, WakesOn


class StatusError(Exception):
    """An HTTP client's error: a status, and headers of the answer."""

    def __init__(self, status: int, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers=headers or {})
        for name, value in more.items():
            setattr(self, name, value)


class DriverError(Exception):
    """A database driver's error with a SQLSTATE."""

    def __init__(self, sqlstate: str, message: str = "refused") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def _raised(exc: BaseException, cause: BaseException | None = None) -> BaseException:
    exc.__cause__ = cause
    return exc


def _while_handling(exc: BaseException, handled: BaseException) -> BaseException:
    exc.__context__ = handled
    return exc


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Kind.DETERMINISTIC),
        (400, Kind.DETERMINISTIC),
        (402, Kind.DETERMINISTIC),
        (404, Kind.DETERMINISTIC),
        (408, Kind.TRANSIENT),
        (409, Kind.UNKNOWN),
        (418, Kind.DETERMINISTIC),
        (422, Kind.DETERMINISTIC),
        (425, Kind.TRANSIENT),
        (429, Kind.THROTTLED),
        (412, Kind.UNKNOWN),
        (500, Kind.TRANSIENT),
        (501, Kind.DETERMINISTIC),
        (503, Kind.TRANSIENT),
        (529, Kind.TRANSIENT),
        (599, Kind.TRANSIENT),
    ],
)
def test_a_bare_status_decides(status: int, kind: Kind) -> None:
    """A 4xx is deterministic, but not 408, 409, 425 and 429."""
    diagnosis = classify(StatusError(status))
    assert (diagnosis.kind, diagnosis.evidence) == (kind, f"HTTP {status}")


def test_a_conflict_that_the_provider_wants_retried_is_transient() -> None:
    """409 is open until the provider's header says to come again."""
    assert classify(StatusError(409, {"x-should-retry": "true"})).kind is Kind.TRANSIENT


def test_an_exhausted_quota_is_not_a_rate_limit() -> None:
    """The same status 429: one waits for time, the other for whoever pays."""
    quota = classify(StatusError(429, code="insufficient_quota"))
    assert (quota.kind, quota.wakes_on) == (Kind.DETERMINISTIC, (WakesOn.ACCOUNT,))
    assert classify(StatusError(429, code="rate_limit_exceeded")).kind is Kind.THROTTLED


def test_a_daily_quota_is_told_from_one_per_minute() -> None:
    """Gemini's quota id says which of the two was hit."""
    for quota, kind in (("PerDay", Kind.DETERMINISTIC), ("PerMinute", Kind.THROTTLED)):
        details = {"error": {"details": [{"violations": [{"quotaId": f"Requests{quota}Free"}]}]}}
        exc = StatusError(429, details=details)
        exc.args = (f"429 RESOURCE_EXHAUSTED. {details}",)
        assert classify(exc).kind is kind


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT",
                "date": "Wed, 21 Oct 2026 07:27:15 GMT",
            },
            45.0,
        ),
        ({"retry-after": "Wednesday, I think"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_was_asked_for_is_passed_on(
    headers: dict[str, str], after: float | None
) -> None:
    """Seconds and milliseconds are read, and a date where the answer says when it was sent."""
    assert classify(StatusError(429, headers)).after == after


def test_a_date_without_another_is_held_against_now() -> None:
    """Some proxies leave the answer's own date out; what has passed is no wait."""
    exc = StatusError(429, {"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"})
    assert classify(exc, now=50.0).after == 70.0
    assert not classify(exc, now=500.0).after


def test_the_wait_that_an_sdk_has_read_is_passed_on() -> None:
    """Some keep it as an attribute of the exception."""
    assert classify(StatusError(429, retry_after=12)).after == 12.0


def test_googles_wait_is_read_from_the_answer() -> None:
    """`RetryInfo` stands among the details of the error."""
    details = {"error": {"details": [{"retryDelay": "34.5s"}]}}
    assert classify(StatusError(429, details=details)).after == 34.5


def test_an_error_event_in_a_good_stream_is_judged_by_its_type() -> None:
    """The stream began with 200, so only the type is left."""
    exc = StatusError(200, body={"type": "error", "error": {"type": "overloaded_error"}})
    assert classify(exc).kind is Kind.TRANSIENT


def test_the_best_evidence_of_the_chain_decides() -> None:
    """A web framework's 500 made of a missing column is a missing column."""
    exc = _raised(StatusError(500), DriverError("42703"))
    diagnosis = classify(exc)
    assert (diagnosis.kind, diagnosis.evidence) == (Kind.DETERMINISTIC, "SQLSTATE 42703")
    assert WakesOn.SCHEMA in diagnosis.wakes_on


def test_of_equal_evidence_the_root_decides() -> None:
    """The error that came first explains those made of it."""
    assert classify(_raised(DriverError("08003"), DriverError("42501"))).kind is Kind.DETERMINISTIC


def test_what_was_being_handled_counts_where_the_chain_has_no_code() -> None:
    """An error raised in an except block without `from` is explained by what was caught."""
    exc = _while_handling(RuntimeError("could not save"), DriverError("42703"))
    assert classify(exc).evidence == "SQLSTATE 42703"


def test_what_was_being_handled_does_not_beat_a_code() -> None:
    """A second provider's refusal is not excused by the first provider's rate limit."""
    first = StatusError(429, code="rate_limit_exceeded")
    assert classify(_while_handling(StatusError(400), first)).kind is Kind.DETERMINISTIC


def test_a_suppressed_context_is_not_looked_at() -> None:
    """`raise … from None` says that the earlier error doesn't matter."""
    exc = _while_handling(RuntimeError("x"), DriverError("42703"))
    exc.__suppress_context__ = True
    assert classify(exc).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    ("first", "kind"), [("42703", Kind.DETERMINISTIC), ("40P01", Kind.TRANSIENT)]
)
def test_a_follow_on_error_is_judged_by_the_first(first: str, kind: Kind) -> None:
    """ "Transaction is aborted" says nothing by itself."""
    assert classify(_while_handling(DriverError("25P02"), DriverError(first))).kind is kind
    assert classify(DriverError("25P02")).kind is Kind.UNKNOWN


def test_a_group_asks_for_its_worst_member() -> None:
    """One member whose code says deterministic makes the whole fail again."""
    both = ExceptionGroup("two", [TimeoutError("slow"), DriverError("42703")])
    assert classify(both).kind is Kind.DETERMINISTIC
    waits = ExceptionGroup("two", [TimeoutError("slow"), StatusError(429, {"retry-after": "3"})])
    assert (classify(waits).kind, classify(waits).after) == (Kind.THROTTLED, 3.0)
    nested = ExceptionGroup("one", [ExceptionGroup("two", [DriverError("42P01")])])
    assert classify(nested).evidence == "SQLSTATE 42P01"


def test_a_bug_beside_a_time_out_may_be_its_fallout() -> None:
    """A bare class in a group is not trusted to be deterministic where another member passes."""
    fallout = ExceptionGroup("two", [TimeoutError("slow"), KeyError("x")])
    assert classify(fallout).kind is Kind.UNKNOWN
    assert classify(ExceptionGroup("two", [TypeError("y"), KeyError("x")])).kind == "deterministic"


def test_a_group_is_also_found_below_another_error() -> None:
    """A wrapped group counts as the cause that it is."""
    exc = _raised(RuntimeError("batch"), ExceptionGroup("g", [DriverError("42703")]))
    assert classify(exc).kind is Kind.DETERMINISTIC


def test_chains_that_bite_their_tail_come_to_an_end() -> None:
    """A cause that leads back to itself is read once."""
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    one.__context__ = two.__context__ = one
    assert classify(one).kind is Kind.UNKNOWN


def test_a_plain_wrapper_gives_way_to_what_it_wraps() -> None:
    """A header that can't be encoded is a bug, though the SDK calls it a connection error."""
    wrapper = type("APIConnectionError", (Exception,), {"__module__": "openai"})
    bug = UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range")
    assert classify(_raised(wrapper("Connection error."), bug)).kind is Kind.DETERMINISTIC
    assert classify(wrapper("Connection error.")).kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    "exc", [asyncio.CancelledError(), SystemExit(400), KeyboardInterrupt(), GeneratorExit()]
)
def test_being_told_to_stop_is_transient(exc: BaseException) -> None:
    """A shutdown says nothing of the work, whatever the exit code."""
    assert classify(exc).kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    "exc",
    [
        NameError("x"),
        TypeError("x"),
        AttributeError("x"),
        ImportError("x"),
        IndexError("x"),
        NotImplementedError("x"),
        AssertionError("x"),
        RecursionError("x"),
        SyntaxError("x"),
        ZeroDivisionError("x"),
        ValueError("x"),
    ],
)
def test_a_programming_error_is_deterministic(exc: Exception) -> None:
    """The same code on the same values fails again."""
    diagnosis = classify(exc)
    assert (diagnosis.kind, diagnosis.evidence) == (Kind.DETERMINISTIC, type(exc).__name__)


def test_a_bare_error_of_the_users_own_is_unknown() -> None:
    """Nothing is guessed from a class that says nothing."""
    assert classify(type("Odd", (Exception,), {})("odd")).kind is Kind.UNKNOWN


def test_bad_json_is_unknown_until_its_origin_shows() -> None:
    """The same class comes from a queue's payload and from a model's answer."""
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{no")
    assert classify(caught.value).kind is Kind.UNKNOWN
    with pytest.raises(ValueError, match="answer") as wrapped:
        _raise_from(ValueError("bad answer"), caught.value)
    assert classify(wrapped.value).kind is Kind.UNKNOWN


def _raise_from(exc: Exception, cause: Exception) -> None:
    raise exc from cause


def test_a_missing_environment_variable_is_a_matter_of_config() -> None:
    """It is told from any other missing key by where it was raised."""
    with pytest.raises(KeyError) as caught:
        os.environ["PAYONCE_TEST_NOT_SET"]
    diagnosis = classify(caught.value)
    assert diagnosis.reason == "environment variable PAYONCE_TEST_NOT_SET is not set"
    assert WakesOn.CONFIG in diagnosis.wakes_on
    assert classify(KeyError("model_name")).reason == "key 'model_name' is missing"


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (errors.Rejected("outline", 3, "not JSON"), Kind.DETERMINISTIC),
        (errors.NotKeyable("argument x", "give key="), Kind.DETERMINISTIC),
        (errors.NoJournal("disk full"), Kind.TRANSIENT),
        (errors.LeaseLost("course:1", 2), Kind.TRANSIENT),
        (errors.InDoubt("pay", 7, "cut", repeatable=True), Kind.TRANSIENT),
        (errors.InDoubt("pay", 7, "cut", repeatable=False), Kind.DETERMINISTIC),
        (errors.JournalError("odd", "look"), Kind.UNKNOWN),
    ],
)
def test_payonces_own_errors_say_what_they_are(exc: BaseException, kind: Kind) -> None:
    """Whatever they were made of."""
    assert classify(_raised(exc, DriverError("40P01"))).kind is kind


def test_a_busy_inner_job_passes_its_wait_on() -> None:
    """A job that calls another one waits as long as that one asks."""
    assert classify(errors.Busy(job="j", run_key="k", owner="o", after=4.0)).after == 4.0


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            'column "outline" of relation "course" does not exist\nLINE 1: insert',
            'column "outline" of table "course" does not exist',
        ),
        (
            "table course has no column named outline",
            'column "outline" of table "course" does not exist',
        ),
        ("no such column: outline", 'column "outline" does not exist'),
        ("no such column: c.outline", 'column "outline" of table "c" does not exist'),
        ('column "outline" does not exist', 'column "outline" does not exist'),
        ("no such table: course", 'table "course" does not exist'),
        ('relation "course" does not exist', 'table "course" does not exist'),
        ("(1146, \"Table 'corp.course' doesn't exist\")", 'table "corp.course" does not exist'),
        (
            "(1054, \"Unknown column 'outline' in 'INSERT INTO'\")",
            'column "outline" does not exist',
        ),
        ("NOT NULL constraint failed: t.a", 'column "a" of table "t" must not be null'),
        ("something else\nmore of it", "something else"),
    ],
)
def test_the_reason_names_what_is_missing(message: str, reason: str) -> None:
    """One sentence, the same for every database."""
    assert classify(DriverError("42703", message)).reason == reason


def test_the_reason_carries_no_secret_and_no_novel() -> None:
    """Keys are masked and long messages cut."""
    diagnosis = classify(ValueError(f"bad key sk-proj-{'a1' * 20} {'x' * 900}"))
    assert "sk-proj" not in diagnosis.reason
    assert len(diagnosis.reason) <= 240


def test_the_users_rules_come_first() -> None:
    """By class, by qualified name, by predicate; in the order in which they were added."""
    rules = Rules()
    rules.add(DriverError, "transient", reason="a known hiccup", when=lambda exc: "x" in str(exc))
    name = f"{DriverError.__module__}.{DriverError.__qualname__}"
    rules.add(name, Kind.DETERMINISTIC, wakes_on=["config"])
    first = classify(DriverError("42703", "x"), rules)
    assert (first.kind, first.reason) == (Kind.TRANSIENT, "a known hiccup")
    second = classify(_raised(RuntimeError("outer"), DriverError("40P01", "y")), rules)
    assert (second.kind, second.wakes_on) == (Kind.DETERMINISTIC, (WakesOn.CONFIG,))
    assert second.evidence == "rule for " + name
    assert classify(KeyError("x"), rules).evidence == "KeyError"
    grouped = classify(ExceptionGroup("g", [DriverError("42703", "x")]), rules)
    assert grouped.kind is Kind.TRANSIENT
    assert [len(rules), rules[0].reason, len(list(rules[:1]))] == [2, "a known hiccup", 1]


def test_a_rule_whose_predicate_fails_is_skipped_with_a_note() -> None:
    """The failure itself is never lost to a broken rule."""
    exc = KeyError("x")
    assert classify(exc, [Rule(Kind.TRANSIENT, when=lambda _: 1 // 0 == 0)]).evidence == "KeyError"
    assert "ZeroDivisionError" in exc.__notes__[0]


def test_a_rule_that_says_nothing_is_refused() -> None:
    """A rule without a condition, an unknown kind, an unknown thing to wake on."""
    with pytest.raises(errors.ConfigError, match="every failure"):
        Rule(Kind.TRANSIENT)
    with pytest.raises(errors.ConfigError, match="unknown word"):
        Rules().add(ValueError, "sometimes")
    with pytest.raises(errors.ConfigError, match="unknown word"):
        Rules().add(ValueError, wakes_on=["moon"])


def _foreign(name: str, *args: object, parent: str | None = None, **more: object) -> Exception:
    """An exception of a package that isn't installed."""
    cls: type[Exception] = Exception
    for each in (parent, name):
        if each is not None:
            module, _, own = each.rpartition(".")
            cls = type(own, (cls,), {"__module__": module, **more})
    return cls(*args)


@pytest.mark.parametrize(
    ("exc", "kind", "evidence"),
    [
        (_foreign("grpc.RpcError", code=lambda _: SimpleNamespace(name="UNAVAILABLE")),
         "transient", "gRPC UNAVAILABLE"),
        (_foreign("grpc.RpcError", code=lambda _: SimpleNamespace(name="UNAUTHENTICATED")),
         "deterministic", "gRPC UNAUTHENTICATED"),
        (_foreign("smtplib.SMTPSenderRefused", smtp_code=451), "transient", "SMTP 451"),
        (_foreign("smtplib.SMTPAuthenticationError", smtp_code=535), "deterministic", "SMTP 535"),
        (_foreign("pyodbc.ProgrammingError", "42S22", "Invalid column name"),
         "deterministic", "SQLSTATE 42S22"),
        (_foreign("pyodbc.OperationalError", "08S01", "link failure"),
         "transient", "SQLSTATE 08S01"),
        (_foreign("mysql.connector.errors.DatabaseError", "42000", errno=1226, sqlstate="42000"),
         "transient", "MySQL 1226"),
        (_foreign("mysql.connector.errors.DatabaseError", "x", errno=9999, sqlstate="42000"),
         "unknown", "SQLSTATE 42000"),
        (_foreign("pysqlite3.OperationalError", "no such table: t"),
         "deterministic", "no such table"),
        (_foreign("pysqlite3.OperationalError", "database is locked"),
         "transient", "database is locked"),
        (_foreign("redis.exceptions.ResponseError", "unknown command 'X'",
                  parent="redis.exceptions.RedisError"), "deterministic", "redis ERR"),
        (_foreign("redis.exceptions.ResponseError", "WRONGTYPE Operation against a key",
                  parent="redis.exceptions.RedisError"), "deterministic", "redis WRONGTYPE"),
        (_foreign("duckdb.ProgrammingError", "no column",
                  parent="duckdb.Error"), "deterministic", "duckdb.ProgrammingError"),
        (_foreign("google.genai.errors.ClientError", code=400, status="INVALID_ARGUMENT"),
         "deterministic", "HTTP 400"),
        (_foreign("stripe.RateLimitError", http_status=429, code="lock_timeout"),
         "transient", "stripe lock_timeout"),
    ],
)  # fmt: skip
def test_other_libraries_are_read_the_same_way(exc: Exception, kind: str, evidence: str) -> None:
    """By the names of their classes and attributes, without importing them."""
    diagnosis = classify(exc)
    assert (diagnosis.kind, diagnosis.evidence) == (kind, evidence)


def test_attributes_that_raise_are_as_good_as_none() -> None:
    """Reading a failure never fails."""

    class Hostile(Exception):
        @property
        def status_code(self) -> int:
            raise RuntimeError("no")

        @property
        def response(self) -> Any:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("no")

    diagnosis = classify(Hostile())
    assert (diagnosis.kind, bool(diagnosis.reason)) == (Kind.UNKNOWN, True)
