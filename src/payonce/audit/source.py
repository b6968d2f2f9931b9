"""Reading, for `audit`: one file that was given, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from zipfile import ZipInfo

from payonce.audit.sample import Format


@dataclass(slots=True)
class Source:
    """A file, or one inside of a zip archive: its formats, its rows, what is to be said of it.

    `skipped` has a count and the first line for each reason; `trouble` says why the file, or the
    rest of it, was not read; `proposed` what might be given with `--map` for records of no format.
    """

    number: int
    path: str
    member: ZipInfo | None = None
    formats: list[Format] = field(default_factory=list)
    rows: int = 0
    skipped: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trouble: str | None = None
    proposed: str | None = None

    @property
    def name(self) -> str:
        """How it is called: a file in an archive behind the archive's path."""
        return self.path if self.member is None else f"{self.path}:{self.member.filename}"

    @property
    def used(self) -> bool:
        """Whether something of it could be used."""
        return self.rows > sum(count for count, _ in self.skipped.values())

    @property
    def kinds(self) -> str:
        """What it is, by its formats."""
        return ", ".join(format_.name for format_ in self.formats)

    def note(self, text: str) -> None:
        """Say something of the file, once."""
        if text not in self.notes:
            self.notes.append(text)

    def skip(self, why: str, count: int = 1, first: int | None = None) -> None:
        """So many rows could not be used."""
        before, line = self.skipped.get(why, (0, None))
        self.skipped[why] = before + count, first if line is None else line

    def is_of(self, format_: Format) -> None:
        """It has rows of this format, too."""
        if format_ not in self.formats:
            self.formats.append(format_)
