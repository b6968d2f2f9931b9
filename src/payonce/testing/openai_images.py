"""Testing: OpenAI's wire format: images, made or changed, whole or streamed."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.openai import OpenAIErrors
from payonce.testing.wire import Wire, event

_TOKENS = 1056
_DEFAULT = "gpt-image-1"


class Images(OpenAIErrors, Wire):
    """`POST /v1/images/generations`."""

    kind = "image_generation"

    def read(self, request: Request) -> Ask:
        """Read a prompt; the model need not be named."""
        return self._ask(request.json(), [])

    def _ask(self, body: dict[str, Any], more: list[str]) -> Ask:
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise ValueError("Missing required parameter: 'prompt'.")
        return Ask.of(self.provider, {"model": _DEFAULT, **body}, [prompt, *more])

    def output_tokens(self, answer: Answer) -> int:
        """1056 tokens an image, a square one of medium quality with `gpt-image-1`."""
        return _TOKENS * _count(answer)

    def whole(self, answer: Answer) -> Body:
        """As many images as were asked for, in base64 or as addresses."""
        look = {k: v for k, v in _look(answer).items() if k != "created_at"}
        data = [_image(answer, number) for number in range(_count(answer))]
        return {"created": answer.created, **look, "data": data, "usage": self._usage(answer)}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """The partial images that were asked for, and the completed one with the usage."""
        coded = {"b64_json": _coded(answer, 0), **_look(answer)}
        for number in range(int(answer.ask.body.get("partial_images") or 0)):
            name = f"{self.kind}.partial_image"
            yield event({"type": name, **coded, "partial_image_index": number}, name)
        name = f"{self.kind}.completed"
        yield event({"type": name, **coded, "usage": self._usage(answer)}, name)

    def _usage(self, answer: Answer) -> Body:
        asked, answered = answer.ask.input_tokens, self.output_tokens(answer)
        details = {"text_tokens": asked, "image_tokens": 0}
        counts = {"input_tokens": asked, "input_tokens_details": details}
        return {**counts, "output_tokens": answered, "total_tokens": asked + answered}


class ImageEdits(Images):
    """`POST /v1/images/edits`, a form with files."""

    kind = "image_edit"

    def read(self, request: Request) -> Ask:
        """Read a prompt and the images that are to be changed."""
        form = request.form()
        if not form.files:
            raise ValueError("Missing required parameter: 'image'.")
        fields = {**form.fields, "stream": form.fields.get("stream") == "true"}
        return self._ask(fields, [file.digest for file in form.files.values()])


def _count(answer: Answer) -> int:
    return int(answer.ask.body.get("n") or 1)


def _look(answer: Answer) -> dict[str, Any]:
    body = answer.ask.body
    size = body.get("size") or "auto"
    return {
        "created_at": answer.created,
        "background": "opaque",
        "output_format": body.get("output_format") or "png",
        "quality": "medium",
        "size": "1024x1024" if size == "auto" else size,
    }


def _image(answer: Answer, number: int) -> Body:
    wanted = answer.ask.body.get("response_format")
    by_address = answer.ask.model.startswith("dall-e") and wanted != "b64_json"
    if by_address or wanted == "url":
        return {"url": f"https://images.invalid/{answer.id}-{number}.png"}
    return {"b64_json": _coded(answer, number)}


def _coded(answer: Answer, number: int) -> str:
    return base64.b64encode(_png(f"{answer.id}-{number}")).decode()


def _png(seed: str) -> bytes:
    """A picture of one pixel, whose colour and comment come from the seed."""
    head = struct.pack("!IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + hashlib.sha256(seed.encode()).digest()[:3])
    chunks = [(b"IHDR", head), (b"tEXt", b"Comment\0" + seed.encode())]
    chunks += [(b"IDAT", pixel), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack("!I", zlib.crc32(name + data))
    return struct.pack("!I", len(data)) + name + data + check
