"""Decision, inside `failure`: the user's own rules, which come before every table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from payonce.chain import Link
from payonce.errors import ConfigError
from payonce.model import Kind, WakesOn


@dataclass(frozen=True, slots=True)
class Rule:
    """What one sort of exception is, said by who knows.

    Args:
        kind: what repetition would do to it.
        exception: a class, or its qualified name ("billing.errors.Refused") so that it needn't
            be imported; subclasses match too.
        when: a predicate on the exception, asked after `exception` has matched. If it raises,
            the rule doesn't match, and a note on the failure says so.
        reason: a sentence for people; without it the exception's own message serves.
        wakes_on: what would have to change, for a deterministic kind.
    """

    kind: Kind
    exception: type[BaseException] | str | None = None
    when: Callable[[BaseException], bool] | None = None
    reason: str | None = None
    wakes_on: tuple[WakesOn, ...] = ()

    def __post_init__(self) -> None:
        if self.exception is None and self.when is None:
            raise ConfigError(
                "a failure rule would match every failure",
                "Give it an exception class, its qualified name, or when=.",
            )

    def matches(self, link: Link) -> bool:
        """Whether the rule speaks of this exception."""
        if isinstance(self.exception, str):
            if self.exception not in link.names:
                return False
        elif self.exception is not None and not isinstance(link.exc, self.exception):
            return False
        return self.when is None or self._asked(self.when, link.exc)

    @staticmethod
    def _asked(when: Callable[[BaseException], bool], exc: BaseException) -> bool:
        try:
            return bool(when(exc))
        except Exception as problem:
            exc.add_note(f"payonce: a failure rule's when= raised {problem!r} and was skipped")
            return False


class Rules(Sequence[Rule]):
    """An app's own rules, asked in the order in which they were added."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = list(rules)

    def add(
        self,
        exception: type[BaseException] | str | None = None,
        kind: Kind | str = Kind.DETERMINISTIC,
        *,
        when: Callable[[BaseException], bool] | None = None,
        reason: str | None = None,
        wakes_on: Iterable[WakesOn | str] = (),
    ) -> Rule:
        """Add a rule; the arguments are those of `Rule`.

        Raises:
            ConfigError: neither `exception` nor `when` is given, or a word is not one of
                payonce's kinds or of what a run can wake on.
        """
        try:
            known_kind, known_wakes = Kind(kind), tuple(WakesOn(each) for each in wakes_on)
        except ValueError as exc:
            raise ConfigError(
                f"a failure rule has an unknown word: {exc}",
                f"Kinds are {', '.join(Kind)}; a run wakes on {', '.join(WakesOn)}.",
            ) from exc
        rule = Rule(known_kind, exception, when, reason, known_wakes)
        self._rules.append(rule)
        return rule

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> list[Rule]: ...
    def __getitem__(self, index: int | slice) -> Rule | list[Rule]:
        return self._rules[index]

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)
