"""The profiles as tables: what is read of a request, and what each verdict answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.delivery import DeliveryScope
from payonce.errors import Busy, ConfigError, KeyReused, NotDone, Parked, RetryLater
from payonce.model import Delivery, Verdict
from payonce.queues import profiles
from payonce.telling import verdict_of

PARKED = Parked(
    "no such column",
    job="j",
    run_key="course:42",
    kind="deterministic",
    fingerprint="f",
    paid="yes",
    todo="Migrate.",
)
LATER = RetryLater("reset", job="j", run_key="k", paid="unknown", after=1.5, todo="Wait.")
BUSY = Busy(job="j", run_key="k", owner="w1", after=3)
REUSED = KeyReused("j", "k", ("tenant",))

TASK = {
    "x-cloudtasks-queuename": "courses",
    "x-cloudtasks-taskname": "t7",
    "x-cloudtasks-taskretrycount": "20",
    "x-cloudtasks-taskexecutioncount": "0",
    "x-cloudtasks-taskpreviousresponse": "500",
    "user-agent": "Google-Cloud-Tasks",
}
PUSH = {
    "message": {"messageId": "136", "data": "QUJD", "attributes": {}},
    "deliveryAttempt": 3,
    "subscription": "projects/p/subscriptions/courses",
}
UNWRAPPED = {
    "x-goog-pubsub-message-id": "136",
    "x-goog-pubsub-subscription-name": "projects/p/subscriptions/courses",
}


def body(push: object) -> bytes:
    """A push request's body."""
    return json.dumps(push).encode()


READS: list[tuple[str, dict[str, str], bytes, Delivery]] = [
    (
        "cloud-tasks",
        TASK,
        b"",
        Delivery("cloud-tasks", "courses/t7", 20, "500", "Google-Cloud-Tasks"),
    ),
    ("cloud-tasks", {}, b"", Delivery("cloud-tasks")),
    ("cloud-tasks", {"x-cloudtasks-taskname": "t7"}, b"", Delivery("cloud-tasks", "t7")),
    ("cloud-tasks", {"x-cloudtasks-taskretrycount": "-1"}, b"", Delivery("cloud-tasks")),
    ("cloud-tasks", {"x-cloudtasks-taskretrycount": "1e3"}, b"", Delivery("cloud-tasks")),
    ("cloud-tasks", {"x-cloudtasks-taskretrycount": "٣"}, b"", Delivery("cloud-tasks")),
    ("cloud-tasks", {"x-cloudtasks-taskretrycount": "9" * 5000}, b"", Delivery("cloud-tasks")),
    ("pubsub", {}, body(PUSH), Delivery("pubsub", "courses/136", 2)),
    ("pubsub", {}, body(PUSH | {"deliveryAttempt": 0}), Delivery("pubsub", "courses/136")),
    ("pubsub", {}, body(PUSH | {"deliveryAttempt": "x"}), Delivery("pubsub", "courses/136")),
    ("pubsub", {}, body(PUSH | {"subscription": [1]}), Delivery("pubsub", "136", 2)),
    (
        "pubsub",
        {},
        body(PUSH | {"message": {"messageId": 10**30}}),
        Delivery("pubsub", "courses", 2),
    ),
    ("pubsub", {}, body({"message": "text"}), Delivery("pubsub")),
    ("pubsub", {}, body([1, 2]), Delivery("pubsub")),
    ("pubsub", {}, b"[" * 100_000, Delivery("pubsub")),
    ("pubsub", {}, b'{"message": {"messageId": "\xff"}}', Delivery("pubsub")),
    ("pubsub", {}, b"", Delivery("pubsub")),
    ("pubsub", UNWRAPPED, b"raw data", Delivery("pubsub", "courses/136")),
    (
        "qstash",
        {"upstash-message-id": "msg_1", "upstash-retried": "2"},
        b"",
        Delivery("qstash", "msg_1", 2),
    ),
    ("qstash", {"upstash-retried": "two"}, b"", Delivery("qstash")),
    ("http", {"x-github-delivery": "d-1", "x-request-id": "r"}, b"", Delivery("http", "d-1")),
    ("http", {"idempotency-key": "i", "webhook-id": "w"}, b"", Delivery("http", "i")),
    ("http", {"idempotency-key": " \r\n", "webhook-id": "w"}, b"", Delivery("http", "w")),
    ("http", {"x-request-id": "a\x00b\x1b[31m\nc"}, b"", Delivery("http", "ab[31mc")),
    ("http", {"x-request-id": "x" * 9000}, b"", Delivery("http", "x" * 500)),
]


@pytest.mark.parametrize(("queue", "headers", "content", "delivery"), READS)
def test_reads(queue: str, headers: dict[str, str], content: bytes, delivery: Delivery) -> None:
    """Each queue's origin is read; what is missing or malformed is None."""
    assert profiles.read(profiles.profile(queue), headers, content) == delivery


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(sorted(profiles.PROFILES)),
    st.dictionaries(st.sampled_from([*TASK, *UNWRAPPED, "upstash-retried"]), st.text()),
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(body),
)
def test_anything_can_be_read(queue: str, headers: dict[str, str], content: bytes) -> None:
    """No request, however odd, makes reading fail, or yields more than a bounded line."""
    read = profiles.read(profiles.profile(queue), headers, content)
    for text in (read.message, read.previous_response, read.user_agent):
        assert text is None or (text.isprintable() and len(text) <= 2 * profiles.FIELD_MAX + 1)


def test_unknown_queues_are_refused() -> None:
    """A queue that nobody knows is refused with the list of those that are known."""
    with pytest.raises(ConfigError, match="cloud-tasks, http, pubsub, qstash"):
        profiles.profile("sqs")


AFTERS = [(0, "0"), (0.01, "1"), (6.2, "7"), (-3, "0"), (1e9, "86400"), (float("inf"), "86400")]


@pytest.mark.parametrize(("after", "told"), AFTERS)
def test_retry_after(after: float, told: str) -> None:
    """`Retry-After` is in whole seconds, rounded up, within a day."""
    answer = profiles.answer(profiles.profile("qstash"), Verdict("retry", after=after))
    assert dict(answer.headers)["retry-after"] == told


@pytest.mark.parametrize("after", [None, float("nan")])
def test_no_retry_after(after: float | None) -> None:
    """Without a time to wait the queue's own back-off decides."""
    answer = profiles.answer(profiles.profile("cloud-tasks"), Verdict("retry", after=after))
    assert "retry-after" not in dict(answer.headers)


@pytest.mark.parametrize("queue", sorted(profiles.PROFILES))
def test_only_park_stops(queue: str) -> None:
    """Success, or QStash's stop, is answered to a parked run alone; all else comes again."""
    profile = profiles.profile(queue)
    stops = {200, 204, 489}
    assert profiles.answer(profile, Verdict("park")).status in stops
    for verdict in (Verdict("park", hold=True), Verdict("retry"), Verdict("busy", after=1)):
        assert profiles.answer(profile, verdict).status in {409, 503}


@pytest.mark.parametrize("error", [PARKED, LATER, BUSY, REUSED])
def test_the_body_tells_the_money(error: NotDone | KeyReused) -> None:
    """The body names the verdict, the run, the reason, and whether it was paid."""
    verdict = verdict_of(error)
    told = json.loads(profiles.answer(profiles.profile("http"), verdict, error).body)
    assert (told["payonce"], told["run"]) == (verdict.word, error.run_key)
    assert (bool(told["reason"]), told["paid"]) == (True, error.paid)


def test_the_body_tells_of_no_other_verdict() -> None:
    """An exception of another verdict than the one answered is left out of the body."""
    scope = DeliveryScope(Delivery(), Verdict("retry", after=2))
    answer = profiles.settle(profiles.profile("http"), scope, PARKED)
    assert answer is not None
    assert (answer.status, json.loads(answer.body)) == (503, {"payonce": "retry"})


def behind(error: Exception) -> Exception:
    """Another exception, raised from `error`."""
    try:
        raise ValueError("the user's") from error
    except ValueError as raised:
        return raised


RAISED = [
    (PARKED, Verdict("park")),
    (LATER, Verdict("retry", after=1.5)),
    (BUSY, Verdict("busy", after=3)),
    (REUSED, Verdict("park")),
    (behind(PARKED), Verdict("park")),
    (ExceptionGroup("several", [ValueError(), behind(LATER)]), Verdict("retry", after=1.5)),
    (ValueError("the user's"), None),
]


@pytest.mark.parametrize(("raised", "verdict"), RAISED)
def test_exceptions_speak_for_themselves(raised: Exception, verdict: Verdict | None) -> None:
    """A job's exception counts without a noted verdict: itself, in a group, or behind another."""
    scope = DeliveryScope(Delivery())
    answer = profiles.settle(profiles.profile("http"), scope, raised)
    assert (scope.verdict, answer is None) == (verdict, verdict is None)


def test_a_finished_job_has_nothing_to_say() -> None:
    """What fails after a finished job is the handler's own failure."""
    scope = DeliveryScope(Delivery(), Verdict("done"))
    assert profiles.settle(profiles.profile("http"), scope, ValueError()) is None


def test_endless_causes_end() -> None:
    """Exceptions that cause each other are looked through once."""
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert profiles.cause(one) is None
