"""Reading, for `audit`: what is packed, as a stream of what is inside; nothing is held whole.

What unpacks to far more than any log does is cut off there, and that is said.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any, BinaryIO, cast

MOST_TIMES = 1000
"""How many times its own size a packed file may unpack to; logs reach some hundreds."""
MOST_MEMBERS = 10_000
"""Files of one zip archive that are read."""
ZIP = b"PK\x03\x04"
ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What unpackers raise where their data is cut or damaged; bz2 has no class of its own."""

_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0"
PACKED = (_GZIP, _ZSTD, _BZIP2, _XZ)
_END = b"PK\x05\x06"
_DICTIONARY = 256 * 1024 * 1024
_DIRECTORY = 16 * 1024 * 1024
_ALWAYS = 32 * 1024 * 1024
_PIECE = 64 * 1024


class Reads:
    """Something to read from: a packed file that counts, or what is in it within bounds."""

    def __init__(self, file: Any) -> None:
        self._file, self.count = file, 0

    def read(self, size: int = -1) -> bytes:
        """So many bytes at most; fewer, or none at the end."""
        data: bytes = self._file.read(_PIECE if size < 0 else size)
        self.count += len(data)
        return data


class _Bounded(Reads):
    """What a packed file unpacks to, up to what is absurd."""

    def __init__(self, file: Any, packed: Reads, note: Callable[[str], None]) -> None:
        super().__init__(file)
        self._packed, self._note = packed, note

    def read(self, size: int = -1) -> bytes:
        """So many bytes at most; none any more where there are far too many."""
        if self.count > max(_ALWAYS, MOST_TIMES * self._packed.count):
            self._note(f"unpacks to more than {MOST_TIMES:,} times its size: the rest was left out")
            return b""
        return super().read(size)


class _Xz(Reads):
    """The streams of an xz file, which may ask for no more memory than for its own dictionary."""

    def __init__(self, file: Reads) -> None:
        super().__init__(file)
        self._unpacker, self._rest = self._new(), b""

    def _new(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=_DICTIONARY)

    def read(self, size: int = -1) -> bytes:
        while True:
            if self._unpacker.eof:
                rest = (self._unpacker.unused_data or self._file.read(_PIECE)).lstrip(b"\0")
                if not rest:
                    return b""
                self._unpacker, self._rest = self._new(), rest
            given = self._rest
            if self._unpacker.needs_input and not given:
                given = self._file.read(_PIECE)
                if not given:
                    raise EOFError
            self._rest = b""
            data = self._unpacker.decompress(given, size if size > 0 else _PIECE)
            if data:
                return data


def unpacked(raw: BinaryIO, note: Callable[[str], None]) -> IO[bytes]:
    """What is inside of a packed file, told by its first bytes; any other file is itself."""
    buffered = raw if hasattr(raw, "peek") else io.BufferedReader(cast("io.RawIOBase", raw))
    start = buffered.peek(6)[:6]
    packed = Reads(buffered)
    reader: Any
    if start.startswith(_GZIP):
        reader = gzip.GzipFile(fileobj=cast("IO[bytes]", packed), mode="rb")
    elif start.startswith(_BZIP2):
        reader = bz2.BZ2File(cast("IO[bytes]", packed))
    elif start == _XZ:
        reader = _Xz(packed)
    elif start.startswith(_ZSTD):
        import zstandard

        given = cast("IO[bytes]", packed)
        reader = zstandard.ZstdDecompressor().stream_reader(given, read_across_frames=True)
    else:
        return buffered
    return cast("IO[bytes]", _Bounded(reader, packed, note))


def members_of(path: str) -> list[zipfile.ZipInfo] | None:
    """The files in a zip archive, without hidden ones; None if it is no archive that can be read.

    Its directory is read only if that is of a bearable size.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            if file.read(4) not in (ZIP, _END):
                return None
            file.seek(-min(os.fstat(file.fileno()).st_size, _PIECE + 22), os.SEEK_END)
            tail = file.read()
            end = tail[tail.rfind(_END) :]
            if len(end) < 22 or struct.unpack("<I", end[12:16])[0] > _DIRECTORY:
                return None
            with zipfile.ZipFile(file) as archive:
                return [each for each in archive.infolist() if _is_read(each)]
    except (OSError, ValueError, NotImplementedError, *ERRORS):
        return None


def _is_read(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    hidden = any(part.startswith(".") and part != "." for part in parts)
    return not (member.is_dir() or hidden or parts[0] == "__MACOSX")


def opened_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, note: Callable[[str], None]
) -> BinaryIO:
    """One file of a zip archive, to be read within bounds.

    Raises:
        RuntimeError: it is locked with a password.
        NotImplementedError: it is packed in a way that Python doesn't know.
    """
    packed = Reads(None)
    packed.count = member.compress_size
    bounded = _Bounded(archive.open(member), packed, note)
    return cast("BinaryIO", io.BufferedReader(_Raw(bounded)))


class _Raw(io.RawIOBase):
    """The same as Python's own readers want it."""

    def __init__(self, file: Reads) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
