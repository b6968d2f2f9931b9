"""Edge, inside `capture`: the wire format of Google's Gemini API, on Vertex AI, too.

Source: Google's API reference, "Generating content", "Interactions" and `google.rpc.Status`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, objects, read_data, read_object


def _event(event: Event, seen: Seen) -> Sign:
    data = read_data(event)
    if data.get("error") is not None:
        seen.fail(data["error"])
        return Sign.ERROR
    if "event_type" in data:
        return _of_interaction(data, seen)
    seen.take(data.get("modelVersion"), data.get("usageMetadata"))
    candidates = objects(data.get("candidates"))
    _read_grounding(candidates, seen)
    for candidate in candidates:
        for part in objects(object_of(candidate.get("content")).get("parts")):
            if isinstance(part.get("text"), str):
                seen.texts.append(part["text"])
    refused = object_of(data.get("promptFeedback")).get("blockReason") is not None
    _read_said(data, candidates, seen)
    finished = any(candidate.get("finishReason") is not None for candidate in candidates)
    return Sign.FINISH if finished or refused else Sign.GOES_ON


def _of_interaction(data: dict[str, Any], seen: Seen) -> Sign:
    text = object_of(data.get("delta")).get("text")
    if isinstance(text, str):
        seen.texts.append(text)
    match data["event_type"]:
        case "interaction.complete" | "interaction.completed":
            interaction = object_of(data.get("interaction"))
            seen.take(interaction.get("model"), interaction.get("usage"))
            seen.name(interaction.get("id"))
            return Sign.LAST
        case "error":
            seen.fail(data.get("error"))
            return Sign.ERROR
    return Sign.GOES_ON


def _whole(body: bytes, seen: Seen) -> None:
    answer = read_object(body)
    seen.take(answer.get("modelVersion"), answer.get("usageMetadata"))
    seen.take(answer.get("model"), answer.get("usage"))
    candidates = objects(answer.get("candidates"))
    _read_grounding(candidates, seen)
    _read_said(answer, candidates, seen)
    if isinstance(answer.get("error"), dict):
        seen.fail(answer["error"])


def _read_said(answer: dict[str, Any], candidates: list[dict[str, Any]], seen: Seen) -> None:
    """Its id, that of an interaction too, and why each candidate ended."""
    seen.name(answer.get("responseId") or answer.get("id"))
    for candidate in candidates:
        seen.end(candidate.get("finishReason"))


def _read_grounding(candidates: list[dict[str, Any]], seen: Seen) -> None:
    """Count what Google searched for: it is billed by a price of its own, with a part free."""
    for candidate in candidates:
        for _ in object_of(candidate.get("groundingMetadata")).get("webSearchQueries") or ():
            seen.ran("google_searches")


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"error": {"code": 504, "message": message, "status": kind}}


WIRE = Wire(
    name="gemini",
    hosts=("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
    paths=(
        *(":generateContent", ":streamGenerateContent", ":generateAnswer"),
        *(":embedContent", ":batchEmbedContents", ":asyncBatchEmbedContent"),
        *(":batchGenerateContent", ":predict", ":predictLongRunning"),
        *("/interactions", "/batchPredictionJobs", "/tuningJobs", "/tunedModels"),
    ),
    event=_event,
    refusal=_refusal,
    agents=("google-genai-sdk/",),
    whole=_whole,
    model_in=re.compile(r"/models/([^/:]+):"),
)
