"""Edge: capture journals each billed call that an LLM SDK makes inside a run, and replays it.

One file per hook (`httpx_hook`), one per provider's format (`openai`, `anthropic`),
and between them `recording`: one call from its intent to its receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from payonce.capture import httpx_hook, registry
from payonce.capture.registry import Outside, Settings
from payonce.errors import ConfigError
from payonce.policy import Doubt

__all__ = ["Capture", "install"]

_HOOKS = (httpx_hook,)


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

    Raises:
        ConfigError: `hosts` is no list, or a host in it is not given as `host` or `host:port`;
            `outside` is another word.
    """
    _refuse_unfit(hosts, outside)
    settings = Settings(app, frozenset(host.lower() for host in hosts), outside, in_doubt)
    registry.add(settings)
    for hook in _HOOKS:
        hook.install()
    return Capture(settings)


def _refuse_unfit(hosts: Sequence[str], outside: str) -> None:
    if isinstance(hosts, str):
        raise ConfigError("hosts= is a text", f'Give it a list: hosts=["{hosts}"].')
    for host in hosts:
        if not host or "/" in host:
            raise ConfigError(
                f"{host!r} is no host", 'Write it like "api.example.com" or "127.0.0.1:80".'
            )
    if outside not in get_args(Outside):
        raise ConfigError(f"outside= is {outside!r}", 'Give it "pass" or "refuse".')
