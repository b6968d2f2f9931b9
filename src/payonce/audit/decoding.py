"""Reading, for `audit`: a file's bytes as clean text, piece by piece.

Compression and encoding are told by the bytes, never by the name. What can't be text is refused
with a reason; what is only dirty (NUL bytes, bytes that are not UTF-8, lines without an end) is
cleaned, and noted.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast
from zipfile import ZipFile, ZipInfo

from payonce.audit.unpacking import ERRORS, PACKED, ZIP, opened_member, unpacked

PIECE = 8 * 1024 * 1024
"""Bytes that are read at a time."""
LONGEST = 32 * 1024 * 1024
"""Characters of the longest line, or of the longest record in a document, that is read."""

_HEAD = 16 * 1024
PARQUET = b"PAR1"
_MAGIC = (
    (b"SQLite format 3\0", "a SQLite database, not a log; `payonce runs --store` reads a journal"),
    (PARQUET, "a Parquet file inside of another file; unpack it first"),
    (ZIP, "a zip archive that is damaged, far too large, piped in or inside of another file"),
    *((magic, "packed twice; unpack it first") for magic in PACKED),
    (b"%PDF", "a PDF"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
)
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CUT = "breaks off: its packed data is cut or damaged"


class Unreadable(Exception):
    """A file, or the rest of one, that can't be read; the message says why."""


def opened(path: Path) -> BinaryIO:
    """A regular file, opened to be read; a pipe is one, too, a terminal or a device is not.

    `-` is what is piped in.

    Raises:
        Unreadable: it is a directory, a broken link, not ours to read, empty.
    """
    if str(path) == "-":
        return _piped()
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise Unreadable("a folder without files")
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            raise Unreadable("neither a file nor a pipe")
        if stat.S_ISREG(found.st_mode) and found.st_size == 0:
            raise Unreadable("empty")
        return path.open("rb")
    except FileNotFoundError as exc:
        broken = path.is_symlink()
        raise Unreadable("a link to nothing" if broken else "there is no such file") from exc
    except OSError as exc:
        raise Unreadable(exc.strerror or type(exc).__name__) from exc


def opened_in(archive: ZipFile, member: ZipInfo, note: Callable[[str], None]) -> BinaryIO:
    """A file in a zip archive, opened to be read.

    Raises:
        Unreadable: it is locked, damaged, or packed in a way that Python doesn't know.
    """
    try:
        return opened_member(archive, member, note)
    except RuntimeError as exc:
        locked = not isinstance(exc, NotImplementedError)
        raise Unreadable("locked with a password" if locked else "packed in a rare way") from exc
    except (OSError, *ERRORS) as exc:
        raise Unreadable(_CUT) from exc


def starts_with(file: BinaryIO, magic: bytes) -> bool:
    """Whether a file that was opened starts with these bytes; none is taken from it.

    Raises:
        Unreadable: it can't be unpacked.
    """
    try:
        return cast("io.BufferedReader", file).peek(len(magic)).startswith(magic)
    except (*ERRORS, OSError) as exc:
        raise _broken(exc) from exc


def _piped() -> BinaryIO:
    try:
        if not sys.stdin.isatty():
            return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    except (AttributeError, OSError, ValueError):
        pass
    raise Unreadable("nothing is piped in")


def texts(
    raw: BinaryIO, note: Callable[[str], None], sees: Callable[[int], None] = lambda at: None
) -> Iterator[str]:
    """The text of a file, in pieces as they come.

    Args:
        raw: the file; it is read once, from where it is.
        note: told of each kind of dirt that was cleaned off.
        sees: told how many bytes of the file have been read.

    Raises:
        Unreadable: it is no text, or breaks off where its packing can't go on.
    """
    try:
        plain = unpacked(raw, note)
        head = plain.read(_HEAD)
        decode = codecs.getincrementaldecoder(_encoding(head))("replace").decode
        for data in _read(plain, head):
            yield _clean(decode(data), note)
            sees(_position(raw))
        if last := decode(b"", True):
            yield _clean(last, note)
    except (*ERRORS, OSError) as exc:
        raise _broken(exc) from exc
    except Exception as exc:
        if type(exc).__module__.partition(".")[0] != "zstandard":
            raise
        raise Unreadable(_CUT) from exc


def lines_of(given: Iterable[str], note: Callable[[str], None]) -> Iterator[str]:
    """The same text in pieces that end at a line's end, without lines that are too long."""
    rest, skipping = "", False
    for text in given:
        cut = text.rfind("\n") + 1
        if cut and skipping:
            text = text[text.index("\n") + 1 :]
            cut, skipping = text.rfind("\n") + 1, False
        if skipping:
            continue
        if cut:
            yield rest + text[:cut]
            rest = ""
        rest += text[cut:]
        if len(rest) > LONGEST:
            note(f"a line longer than {LONGEST >> 20} MiB was left out")
            rest, skipping = "", True
    if rest:
        yield rest


def _broken(exc: Exception) -> Unreadable:
    strerror = None if isinstance(exc, ERRORS) else getattr(exc, "strerror", None)
    return Unreadable(strerror or _CUT)


def _read(plain: IO[bytes], head: bytes) -> Iterator[bytes]:
    yield head
    while data := plain.read(PIECE):
        yield data


def _position(raw: BinaryIO) -> int:
    try:
        return os.lseek(raw.fileno(), 0, os.SEEK_CUR)
    except (OSError, io.UnsupportedOperation):
        return 0


def _encoding(head: bytes) -> str:
    for magic, why in _MAGIC:
        if head.startswith(magic):
            raise Unreadable(why)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    zeros = head.count(0)
    if zeros > len(head) // 3:
        even = head[::2].count(0)
        if even in (0, zeros):
            return "utf-16-be" if even else "utf-16-le"
    if head[257:262] == b"ustar":
        raise Unreadable("a tar archive; unpack it first, or give it as a zip archive")
    odd = sum(head.count(code) for code in range(32) if code not in (9, 10, 12, 13, 27))
    if odd > len(head) // 20 or (odd and "\ufffd" * 20 in head.decode("utf-8", "replace")):
        raise Unreadable("binary, not a text that is known")
    return "utf-8"


def _clean(text: str, note: Callable[[str], None]) -> str:
    if "\0" in text:
        note("NUL bytes were left out")
        text = text.replace("\0", "")
    if "\ufffd" in text:
        note("some bytes are not UTF-8 and were replaced")
    return text.replace("\r\n", "\n") if "\r" in text else text
