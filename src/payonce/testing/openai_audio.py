"""Testing: OpenAI's wire format: speech, which is bytes, and transcriptions, which are uploads."""

from __future__ import annotations

import base64
import hashlib
import io
import wave
from collections.abc import Iterator
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.openai import OpenAIErrors
from payonce.testing.wire import Blob, Wire, event

_KINDS = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "pcm": "audio/pcm",
    "wav": "audio/wav",
}
_BYTES_A_TOKEN = 200
_PART = 1000


class Speech(OpenAIErrors, Wire):
    """`POST /v1/audio/speech`: bytes in chunks, or events with `stream_format="sse"`."""

    def read(self, request: Request) -> Ask:
        """Read what is to be said, after the instructions."""
        body = request.json()
        said, how = body.get("input"), body.get("instructions")
        if not isinstance(said, str) or not said:
            raise ValueError("Missing required parameter: 'input'.")
        body["stream"] = body.get("stream_format") == "sse"
        return Ask.of(self.provider, body, [said, *([how] if isinstance(how, str) else [])])

    def output_tokens(self, answer: Answer) -> int:
        """One for every 200 bytes."""
        return len(_sound(answer)) // _BYTES_A_TOKEN

    def whole(self, answer: Answer) -> Blob:
        """Sound of the format asked for; only that of WAV can be played."""
        kind = _KINDS.get(answer.ask.body.get("response_format") or "mp3", "audio/mpeg")
        return Blob(kind, _sound(answer), chunked=True)

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`speech.audio.delta` events, and `speech.audio.done` with the usage."""
        sound = _sound(answer)
        for at in range(0, len(sound), _PART):
            coded = base64.b64encode(sound[at : at + _PART]).decode()
            yield event({"type": "speech.audio.delta", "audio": coded})
        yield event({"type": "speech.audio.done", "usage": _usage(answer, self)})


class Transcriptions(OpenAIErrors, Wire):
    """`POST /v1/audio/transcriptions` and `…/translations`, forms with a file."""

    def read(self, request: Request) -> Ask:
        """Read a file, labelled by the prompt or by its name."""
        form = request.form()
        if "file" not in form.files:
            raise ValueError("Missing required parameter: 'file'.")
        file, fields = form.files["file"], form.fields
        prompt = [fields["prompt"]] if fields.get("prompt") else []
        body = {**fields, "stream": fields.get("stream") == "true"}
        return Ask.of(self.provider, body, [*prompt, file.name, file.digest])

    def whole(self, answer: Answer) -> Body | Blob:
        """The text, in the format asked for, with the usage where it has a place."""
        match answer.ask.body.get("response_format"):
            case "text":
                return Blob("text/plain; charset=utf-8", f"{answer.text}\n".encode())
            case "srt":
                lines = f"1\n00:00:00,000 --> 00:00:01,000\n{answer.text}\n\n"
                return Blob("text/plain; charset=utf-8", lines.encode())
            case "vtt":
                lines = f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{answer.text}\n\n"
                return Blob("text/plain; charset=utf-8", lines.encode())
            case "verbose_json":
                usage = {"type": "duration", "seconds": 1}
                told = {"task": "transcribe", "language": "english", "duration": 1.0}
                return {**told, "text": answer.text, "segments": [], "usage": usage}
        return {"text": answer.text, "usage": _usage(answer, self)}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`transcript.text.delta` events, and `transcript.text.done` with the usage."""
        for piece in answer.pieces:
            yield event({"type": "transcript.text.delta", "delta": piece})
        done = {"type": "transcript.text.done", "text": answer.text}
        yield event({**done, "usage": _usage(answer, self)})


def _usage(answer: Answer, wire: Wire) -> dict[str, Any]:
    asked, answered = answer.ask.input_tokens, wire.output_tokens(answer)
    counts = {"input_tokens": asked, "output_tokens": answered, "total_tokens": asked + answered}
    details = {"text_tokens": 0, "audio_tokens": asked}
    return {"type": "tokens", **counts, "input_token_details": details}


def _sound(answer: Answer) -> bytes:
    noise = hashlib.shake_256(f"{answer.n}:{answer.ask.prompt}".encode()).digest(4 * _PART)
    if answer.ask.body.get("response_format") != "wav":
        return b"ID3" + noise
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes(noise)
    return file.getvalue()
