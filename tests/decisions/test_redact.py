"""Secrets don't reach the journal or the log; everything else does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.redact import MASK, redact

UNTIMED = settings(deadline=None)
BEARER = "Bear" + "er"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (
            "Incorrect API key provided: sk-proj-a1B2c3D4e5. See",
            f"Incorrect API key provided: {MASK}. See",
        ),
        ("key sk-ant-api03-abcdefghij_kl-mn", f"key {MASK}"),
        ("gsk_" + "a1b2c3d4e5f6g7h8i9", MASK),
        ("AIza" + "SyA1234567890abcdefghijkl", MASK),
        ("AKIA" + "IOSFODNN7EXAMPLE and more", f"{MASK} and more"),
        ("ghp_" + "0123456789abcdefABCD", MASK),
        ("xoxb-" + "123456789-abc", MASK),
        ("sk_live_" + "0123456789ab", MASK),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ", MASK),
        (f"sent {BEARER} abc.def-123456789", f"sent {BEARER} {MASK}"),
        ("Basic dXNlcjpwYXNz", f"Basic {MASK}"),
        (f"Authorization: {BEARER} abc\nHost: x", f"Authorization: {MASK}\nHost: x"),
        (f"{{'authorization': '{BEARER} abc', 'a': 1}}", f"{{'authorization': '{MASK}', 'a': 1}}"),
        ("Cookie: a=b; c=d", f"Cookie: {MASK}"),
        ("[(b'cookie', b'a'), (b'host', b'h')]", f"[(b'cookie', b'{MASK}'), (b'host', b'h')]"),
        ("('x-api-key', 'a')", f"('x-api-key', '{MASK}')"),
        ('"x-api-key": "abc123"', f'"x-api-key": "{MASK}"'),
        (r"{\"api_key\": \"abc\"}", rf"{{\"api_key\": \"{MASK}\"}}"),
        ("api_key=abc&x=1", f"api_key={MASK}&x=1"),
        ("host=h password=hunter2 user=u", f"host=h password={MASK} user=u"),
        ('{"password": "a b, c", "user": "x"}', f'{{"password": "{MASK}", "user": "x"}}'),
        ("OPENAI_API_KEY=abc123", f"OPENAI_API_KEY={MASK}"),
        ("aws_secret_access_key = wJalr/K7", f"aws_secret_access_key = {MASK}"),
        ("token=abc", f"token={MASK}"),
        ("?X-Amz-Signature=abc&y", f"?X-Amz-Signature={MASK}&y"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- x", f"{MASK} x"),
        ("postgresql://u:p@ss@host/db", f"postgresql://u:{MASK}@host/db"),
        ("redis://:secret@h:6379/0", f"redis://:{MASK}@h:6379/0"),
    ],
)
def test_a_secret_is_masked(text: str, redacted: str) -> None:
    """Keys by their shape, values by their name, passwords in URLs."""
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "max_tokens=500, completion_tokens=12",
        "tokens per min (TPM): Limit 30000, Used 29000",
        "Access denied for user 'corp'@'localhost' (using password: YES)",
        'duplicate key value violates unique constraint "res_job_key"',
        "Your token is invalid",
        "Basic authentication failed",
        "the api_key client option must be set",
        "run key=course:42",
        "KeyError: 'model_name'",
        "postgresql://user@host/db?sslmode=require",
        "token: none",
        "task-list-of-many-words and risk-free",
        "https://api.openai.com/v1/responses?limit=5",
    ],
)
def test_what_is_no_secret_is_kept(text: str) -> None:
    """A text without a secret comes back as it is."""
    assert redact(text) == text


def test_a_url_can_be_shown() -> None:
    """Its password and the key in its query are gone, its host is not."""
    url = "https://u:p@h.example/v1?key=" + "AIza" + "SyA1234567890abcdefghijkl" + "&alt=json"
    assert redact(url) == f"https://u:{MASK}@h.example/v1?key={MASK}&alt=json"


@UNTIMED
@given(st.text(max_size=300))
def test_any_text_can_be_redacted_twice(text: str) -> None:
    """The second time changes nothing."""
    assert redact(redact(text)) == redact(text)


PIECES = [
    *("token", "password", "Bearer", "Basic", "Cookie", "sk-", "abc123", "b", "***"),
    *("=", ":", " ", '"', "'", "\\", "://", "@", "\n", ",", "}"),
]


@UNTIMED
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_odd_mixtures_can_be_redacted_twice(text: str) -> None:
    """Half-quoted, half-written and already masked pairs too."""
    assert redact(redact(text)) == redact(text)


@UNTIMED
@given(
    st.text("abcdefghij0123456789", min_size=12, max_size=40).map("Q9".__add__),
    st.sampled_from(['api_key="{}"', "password={}", "{{'token': '{}'}}", "Cookie: {}", "sk-{}"]),
    st.text(st.characters(categories=["Lu", "Zs"]), max_size=20),
)
def test_a_secret_never_survives(secret: str, place: str, around: str) -> None:
    """Whatever stands before and after it."""
    assert secret not in redact(f"{around} {place.format(secret)} {around}")


def test_what_no_file_could_hold_is_a_question_mark() -> None:
    """A lone surrogate, as broken JSON and file names have them; whole ones stay."""
    assert redact("a 🙂 and half: \ud83d") == "a 🙂 and half: ?"
