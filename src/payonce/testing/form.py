"""Testing: a form as HTTP carries it, urlencoded or in parts with files."""

from __future__ import annotations

import email.policy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.parser import BytesParser
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form."""

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """What tells the content from another's."""
        return hashlib.sha256(self.content).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Form:
    """Fields and files by name; where a name comes twice, the last one counts."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)


def read_form(kind: str, content: bytes) -> Form:
    """Read a form; `kind` is its content type.

    Raises:
        ValueError: the content type is none of a form, or has no boundary.
    """
    plain = kind.partition(";")[0].strip().lower()
    if plain == "application/x-www-form-urlencoded":
        return Form(dict(parse_qsl(content.decode(), keep_blank_values=True)))
    if plain != "multipart/form-data":
        raise ValueError(f"the request's body must be a form, not {plain or 'without a type'}")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(EmailMessage, policy=email.policy.HTTP).parsebytes(head + content)
    if not message.is_multipart():
        raise ValueError("the form has no parts")
    return _sorted_out(message.iter_parts())


def _sorted_out(parts: Iterable[Message]) -> Form:
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    for part in parts:
        name = str(part.get_param("name", header="content-disposition") or "")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        filename = part.get_filename()
        if filename is None:
            fields[name] = content.decode()
        else:
            files[name] = Upload(filename, content)
    return Form(fields, files)
