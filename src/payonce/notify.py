"""Edge: hooks for `app.notify` that reach people: webhooks, chats, e-mail, through apprise.

Apprise (https://github.com/caronc/apprise) speaks to more than a hundred places by URL; it is
imported when a notice is first told.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from payonce.errors import ConfigError
from payonce.notices import BreakerClosed, Notice, RunWoken

_TITLE = "payonce: "


class Apprise:
    """Tells of notices at URLs such as `slack://…`, `mailtos://…` or `jsons://host/path`.

    Args:
        urls: where to, as https://github.com/caronc/apprise/wiki lists them.

    Raises:
        ConfigError: apprise is not installed, or doesn't understand a URL.
    """

    def __init__(self, *urls: str) -> None:
        self._told = _apprise(urls)

    def __call__(self, notice: Notice) -> None:
        """Send it to each place.

        Raises:
            ConnectionError: at least one place did not take it.
        """
        good = isinstance(notice, RunWoken | BreakerClosed)
        sent = self._told.notify(
            title=f"{_TITLE}{notice.title}",
            body=notice.text,
            notify_type="success" if good else "warning",
        )
        if not sent:
            raise ConnectionError("not every place took the notice; see the log of apprise")


def _apprise(urls: Sequence[str]) -> Any:
    try:
        import apprise
    except ImportError as exc:
        raise ConfigError(
            f"payonce.notify.Apprise needs apprise: {exc}",
            'Install it: pip install "payonce[notify]".',
        ) from exc
    if not urls:
        raise ConfigError("payonce.notify.Apprise was given no URL", "Name a place to tell.")
    told = apprise.Apprise()
    for url in urls:
        with (
            warnings.catch_warnings()
        ):  # its plug-ins are loaded now, with modules that Python drops
            warnings.simplefilter("ignore", DeprecationWarning)
            known = told.add(url)
        if not known:
            place = url.partition("://")[0]
            raise ConfigError(
                f"apprise doesn't understand a URL that begins with {place!r}",
                "See https://github.com/caronc/apprise/wiki for how each place is written.",
            )
    return told
