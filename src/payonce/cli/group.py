"""Front: commands that are loaded when they are called, and errors that are told, not traced."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import click

from payonce.errors import PayonceError, Stop


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, from the place (`module:attribute`) and the summary of each.

    One whose module isn't there is left out.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._places[name][0].partition(":")
            if importlib.util.find_spec(module) is None:
                raise KeyError(name)
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        for name, (place, _) in self._places.items():
            if importlib.util.find_spec(place.partition(":")[0]) is not None:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def summary(self, name: str) -> str:
        """A command's summary, without loading it."""
        return self._places[name][1]


class Told(click.ClickException):
    """An error of payonce's own: what happened, whether money moved, what to do."""

    def __init__(self, error: PayonceError | Stop) -> None:
        super().__init__(str(error))
        self.error = error

    def show(self, file: Any = None) -> None:
        """Print it to stderr."""
        from payonce.cli.printing import print_error

        print_error(self.error)


class LazyGroup(click.Group):
    """A group that lists its commands without loading them, in the order of their table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table's summaries."""
        commands = self.commands
        assert isinstance(commands, LazyCommands)
        with formatter.section("Commands"):
            formatter.write_dl([(name, commands.summary(name)) for name in commands])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what can be expected to go wrong is told in plain words."""
        try:
            return super().invoke(ctx)
        except (PayonceError, Stop) as exc:
            raise Told(exc) from exc
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as exc:
            from payonce.report.unreadable import unreadable

            if (told := unreadable(exc)) is None:
                raise
            raise Told(told) from exc
