"""Edge: capture journals each billed call that an LLM SDK makes inside a run, and replays it.

One file per hook (`httpx_hook`, …), one per provider's format (`openai`, `anthropic`, …),
and between them `recording`: one call from its intent to its receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from payonce.capture import aiohttp_hook, botocore_hook, httpx_hook, priced, registry, urllib3_hook
from payonce.capture.recognise import Terms
from payonce.capture.registry import Outside, Settings
from payonce.drift import Rule
from payonce.errors import ConfigError
from payonce.policy import Doubt

__all__ = ["Capture", "install", "told"]

_HOOKS = (httpx_hook, aiohttp_hook, botocore_hook, urllib3_hook)


class Capture:
    """An app's capture, until it is released; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __repr__(self) -> str:
        return f"Capture(hosts={sorted(self._settings.hosts)}, outside={self._settings.outside!r})"

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the app capture no more; the hooks go with the last app. Again changes nothing."""
        if registry.remove(self._settings.app):
            for hook in _HOOKS:
                hook.uninstall()


def install(
    app: object,
    *,
    hosts: Sequence[str] = (),
    outside: Outside = "pass",
    in_doubt: Doubt = "retry",
    drift: Rule = "pay",
    ignore: Sequence[str] = (),
    sketches: bool = True,
    strict: bool = False,
) -> Capture:
    """Capture what is billed inside the runs of an app; installed again, it is told anew.

    Args:
        app: the app whose runs are meant; calls inside the runs of others are left alone.
        hosts: further hosts that bill, as `host` or `host:port`: each POST, PUT and PATCH to
            one is a billed call.
        outside: what happens to a billed call outside of any run: `"pass"`, or `"refuse"`, which
            raises `OutsideRun` before anything is sent.
        in_doubt: what happens to a provider's call in doubt: `"retry"` repeats it at most once,
            `"park"` asks a person.
        drift: what happens to a call that certainly stands in the place of another, whose
            receipt lies unused: `"pay"` pays for it and tells, `"park"` parks the run before.
        ignore: dotted JSON paths that are no part of a call's identity.
        sketches: whether a receipt keeps a sketch of its request.
        strict: whether a library that can't be captured, because its insides are unknown, is
            refused, now or when it is imported; else it is warned of and passes through.

    Raises:
        ConfigError: `hosts` or `ignore` is no list, or a host is not given as `host` or
            `host:port`; `outside` or `drift` is another word; a strict app meets an unknown
            library.
    """
    settings = told(
        app,
        hosts=hosts,
        outside=outside,
        in_doubt=in_doubt,
        drift=drift,
        ignore=ignore,
        sketches=sketches,
        strict=strict,
    )
    capture = Capture(settings)
    registry.add(settings)
    try:
        for hook in _HOOKS:
            hook.install()
    except BaseException:
        capture.release()
        raise
    return capture


def told(
    app: object,
    *,
    hosts: Sequence[str] = (),
    outside: Outside = "pass",
    in_doubt: Doubt = "retry",
    drift: Rule = "pay",
    ignore: Sequence[str] = (),
    sketches: bool = True,
    strict: bool = False,
) -> Settings:
    """What an app captures, checked; see `install`."""
    _refuse_unfit(hosts, ignore, outside=outside, drift=drift)
    priced.prepare()
    terms = Terms(in_doubt, drift, tuple(ignore), sketches)
    return Settings(app, frozenset(host.lower() for host in hosts), outside, terms, strict)


def _refuse_unfit(hosts: Sequence[str], ignore: Sequence[str], **words: str) -> None:
    for name, given in (("hosts", hosts), ("ignore", ignore)):
        if isinstance(given, str):
            raise ConfigError(f"{name}= is a text", f'Give it a list: {name}=["{given}"].')
    for host in hosts:
        if not host or "/" in host:
            raise ConfigError(
                f"{host!r} is no host", 'Write it like "api.example.com" or "127.0.0.1:80".'
            )
    for name, kind in (("outside", Outside), ("drift", Rule)):
        if words[name] not in get_args(kind):
            known = " or ".join(f'"{word}"' for word in get_args(kind))
            raise ConfigError(f"{name}= is {words[name]!r}", f"Give it {known}.")
