"""Archives for the tests of `payonce audit`, made in memory."""

from __future__ import annotations

import io
import tarfile
import zipfile


def zipped(**files: bytes) -> bytes:
    """A zip archive; two underscores in a name stand for a slash."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return held.getvalue()


def tarred(content: bytes) -> bytes:
    """A tar archive with one file."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        member = tarfile.TarInfo("log")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return held.getvalue()
