"""Memory: large payloads are compressed; the codec's name says how to read them back."""

from __future__ import annotations

from msgspec.structs import replace

from payonce.model import Payload, Receipt

_WORTH_IT = 1024
_SUFFIX = "+zstd"


def shrink(payload: Payload) -> Payload:
    """Compress a body of 1 KiB or more, where that makes it smaller."""
    if len(payload.body) < _WORTH_IT:
        return payload
    import zstandard

    body = zstandard.ZstdCompressor(level=3).compress(payload.body)
    return Payload(payload.codec + _SUFFIX, body) if len(body) < len(payload.body) else payload


def shrunk(receipt: Receipt) -> Receipt:
    """The receipt with its answer compressed, where that is worth it."""
    small = shrink(receipt.answer)
    return receipt if small is receipt.answer else replace(receipt, answer=small)


def grow(payload: Payload) -> Payload:
    """The payload as it was before `shrink`."""
    if not payload.codec.endswith(_SUFFIX):
        return payload
    import zstandard

    return Payload(
        payload.codec.removesuffix(_SUFFIX),
        zstandard.ZstdDecompressor().decompress(payload.body),
    )
