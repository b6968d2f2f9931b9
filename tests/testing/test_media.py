"""OpenAI's images and sound against the metered provider: bytes, uploads and their streams."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import openai
import pytest

from payonce.testing import MeteredProvider, cut, drop

CLIP = ("[clip].wav", b"RIFF of a bee")
SAY: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "[greeting] Good day"}


def test_images(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Images are PNGs, each another one, and are billed by their tokens."""
    answer = client.images.generate(model="gpt-image-1", prompt="[bee] on a flower", n=2)
    first, second = (base64.b64decode(image.b64_json or "") for image in answer.data or [])
    assert first.startswith(b"\x89PNG")
    assert first != second
    assert answer.usage is not None
    assert answer.usage.output_tokens == provider.bill[0].output_tokens == 2112
    linked = client.images.generate(model="dall-e-3", prompt="[bee]").data or []
    assert (linked[0].url or "").startswith("https://")
    assert provider.billed("bee") == 2


def test_image_stream(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A streamed image comes in the partial images asked for, and whole with its usage."""
    stream = client.images.generate(
        model="gpt-image-1", prompt="[bee]", stream=True, partial_images=2
    )
    events: list[Any] = list(stream)
    assert [e.type.partition(".")[2] for e in events] == ["partial_image"] * 2 + ["completed"]
    assert events[-1].usage.output_tokens == provider.bill[0].output_tokens


def test_image_edit(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """An edit is an upload; what is uploaded counts, the boundary between its parts doesn't."""
    for picture in (b"one", b"one", b"two"):
        client.images.edit(model="gpt-image-1", prompt="[bee] in red", image=io.BytesIO(picture))
    first, second, third = provider.bill
    assert first.prompt_sha == second.prompt_sha != third.prompt_sha
    assert provider.billed("bee") == 3


def test_speech(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Speech is sound in chunks; that of WAV can be played."""
    answer = client.audio.speech.create(**SAY, response_format="wav")
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert sound.getframerate() == 24_000
    assert "content-length" not in answer.response.headers
    with client.audio.speech.with_streaming_response.create(**SAY) as streamed:
        assert b"".join(streamed.iter_bytes()).startswith(b"ID3")
    assert provider.billed("greeting") == 2


def test_transcription(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A transcription is labelled by its file's name, in each format that is asked for."""
    create = client.audio.transcriptions.create
    plain = create(file=CLIP, model="gpt-4o-transcribe")
    assert "clip.wav" in plain.text
    assert create(file=CLIP, model="whisper-1", response_format="text").endswith("word.\n")
    assert "-->" in create(file=CLIP, model="whisper-1", response_format="srt")
    assert create(file=CLIP, model="whisper-1", response_format="vtt").startswith("WEBVTT")
    assert create(file=CLIP, model="whisper-1", response_format="verbose_json").duration == 1
    assert provider.billed("clip") == 5
    create(file=CLIP, model="whisper-1", prompt="[named] by its prompt")
    assert provider.billed("named") == 1


def test_transcription_stream(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A streamed transcription ends with its text and usage."""
    stream = client.audio.transcriptions.create(file=CLIP, model="gpt-4o-transcribe", stream=True)
    events: list[Any] = list(stream)
    assert "".join(e.delta for e in events[:-1]) == events[-1].text
    assert events[-1].usage.output_tokens == provider.bill[0].output_tokens


def test_broken_off_sound_and_uploads(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Sound can be cut in its middle and an upload dropped, both billed."""
    provider.fail("greeting", cut())
    provider.fail("clip", drop())
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(**SAY)
    with pytest.raises(openai.APIConnectionError):
        client.audio.transcriptions.create(file=CLIP, model="whisper-1")
    assert provider.billed() == 2


def test_what_is_missing_is_refused(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Without a prompt, an input or a file there is nothing to sell."""
    for path in ("/images/generations", "/audio/speech"):
        with pytest.raises(openai.BadRequestError, match="Missing required"):
            client.post(path, cast_to=object, body={"model": "m"})
    for path in ("/audio/transcriptions", "/images/edits"):
        with pytest.raises(openai.BadRequestError, match="must be a form"):
            client.post(path, cast_to=object, body={"model": "m"})
    assert (provider.billed(), provider.received()) == (0, 4)
