"""Decision: what of a text may be written down; secrets are masked, the rest is kept.

Sources of the shapes: the key formats that OpenAI, Anthropic, Groq, Google, AWS, GitHub,
Slack and Stripe hand out, RFC 6750 (Bearer), RFC 7617 (Basic), RFC 7519 (JWT) and RFC 3986
(user information in URLs).
"""

from __future__ import annotations

import re

MASK = "***"

_NAMES = (
    r"(?:[\w.-]*(?:api[_-]?key|secret(?:[_-]?(?:access)?[_-]?key)?|passw(?:or)?d|passphrase"
    r"|access[_-]?token|auth[_-]?token|refresh[_-]?token|client[_-]?secret|private[_-]?key"
    r"|subscription[_-]?key|session[_-]?token|id[_-]?token)|token|pwd|x-goog-api-key"
    r"|sig(?:nature)?|x-amz-(?:signature|credential|security-token))"
)
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bsk-[A-Za-z0-9_*-]{6,}"
    r"|\b[srp]k_(?:live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9+/=]{8,}"
    r"|\b(?:gsk|xai|pplx|hf|r8|tgp|glpat|npm)[_-](?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}"
    r"|\bAIza[0-9A-Za-z_-]{20,}|\bya29\.[0-9A-Za-z_-]{10,}"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?",
    re.DOTALL,
)
_SCHEMES = re.compile(r"\b(Bearer|Basic|Digest|Token)(\s+|%20)([A-Za-z0-9._~+/=*-]{8,})", re.I)
_HEADERS = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-goog-api-key)"
    r"((?:\\?[\"']?\s*[:=]|[\"']\s*,)\s*(?-i:b(?=[\"']))?)"
    r"(\\?[\"'])?+((?(3)[^\"'\\]*|[^\r\n,}]*))"
)
_PAIRS = re.compile(
    rf"(?i)(?<![\w.-])({_NAMES})(\\?[\"']?\s*(?:=>|[:=])\s*(?-i:b(?=[\"']))?)"
    r"(\\?[\"'])?+((?(3)(?:[^\"'\\]|\\[^\"'])+|[^\s\"'&;,)}\]]+))"
)
_SECRET_NAME = re.compile(
    rf"(?:{_NAMES}|(?:proxy-)?authorization|(?:set-)?cookie|x-api-key)", re.IGNORECASE
)
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/?#:@]*):([^\s/?#]*)@")
_NAMES_SECRETS = (
    "key", "secret", "token", "pass", "pwd", "sig", "credential", "auth", "cookie", "bearer",
    "basic", "digest",
)  # fmt: skip
_BEGINS_SECRETS = (
    "sk-", "k_live", "k_test", "whsec_", "gsk", "xai", "pplx", "hf_", "hf-", "r8", "tgp", "glpat",
    "npm", "aiza", "ya29", "akia", "asia", "abia", "acca", "gh", "xox", "eyj", "-----begin",
)  # fmt: skip
_PLAIN = frozenset({"none", "null", "yes", "no", "true", "false", "must", "is", "not", "required"})


_SHORTEST = 8
_MOST = 1000
_known: dict[str, None] = {}


def mask_from_now_on(secret: str) -> None:
    """Mask this very text, too, whatever it looks like; kept in this process's memory only.

    Fewer than 8 characters are not taken for a secret; the last 1,000 are remembered.
    """
    if len(secret) >= _SHORTEST and secret not in _known:
        if len(_known) >= _MOST:
            _known.pop(next(iter(_known)))
        _known[secret] = None


def names_secret(name: str) -> bool:
    """Whether what is kept under this name is a secret, whatever it looks like."""
    lowered = name.lower()
    return (
        any(word in lowered for word in _NAMES_SECRETS) and _SECRET_NAME.fullmatch(name) is not None
    )


def redact(text: str) -> str:
    """Mask API keys, tokens, passwords and cookies in a text; everything else is kept.

    Args:
        text: an error message, a URL, a header line, JSON: any text.

    Lone surrogates, as broken JSON and file names have them, become question marks: no log, hook or
    journal could write them. Masking a text a second time changes nothing.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    for secret in list(_known):
        text = text.replace(secret, MASK)
    if "@" in text:
        text = _USERINFO.sub(rf"\1:{MASK}@", text)
    lowered = text.lower()
    if any(word in lowered for word in _NAMES_SECRETS):
        text = _HEADERS.sub(_keep_name, text)
        text = _SCHEMES.sub(_keep_scheme, text)
        text = _PAIRS.sub(_keep_name, text)
    if any(word in lowered for word in _BEGINS_SECRETS):
        text = _SHAPES.sub(MASK, text)
    return text


def _keep_name(match: re.Match[str]) -> str:
    name, joint, quote, value = match.group(1, 2, 3, 4)
    if not value.strip() or value == MASK or (value.lower() in _PLAIN and not quote):
        return match[0]
    return f"{name}{joint}{quote or ''}{MASK}"


def _keep_scheme(match: re.Match[str]) -> str:
    scheme, gap, value = match.groups()
    is_a_word = value.isalpha() and len(value) < 20 and value[1:].islower()
    return match[0] if is_a_word else f"{scheme}{gap}{MASK}"
