"""Edge, inside `capture`: which of the streams' framings an answer has, by its headers; pure."""

from __future__ import annotations

from payonce.capture import eventstream, lines, sse
from payonce.capture.wire import Splitter


def splitter_for(content_type: str) -> Splitter | None:
    """What cuts a stream of this content type into events; None if it is no known stream."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == sse.CONTENT_TYPE:
        return sse.Splitter()
    if media_type == eventstream.CONTENT_TYPE:
        return eventstream.Splitter()
    return lines.Splitter() if media_type in lines.CONTENT_TYPES else None
