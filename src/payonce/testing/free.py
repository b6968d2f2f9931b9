"""Testing: what providers do for nothing: uploads, polling, counting tokens, tokens of access."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256

from payonce.testing.asking import Body, Request, tokens_in
from payonce.testing.batches import anthropic_batch, openai_batch
from payonce.testing.rest import ROOT

_CREATED = 1_767_225_600


def known(method: str, request: Request) -> bool:
    """Whether a request is one that costs nothing."""
    return _found(method, request) is not None


def answer(method: str, request: Request) -> Body | None:
    """The answer to a request that costs nothing; None where it is no such request."""
    found = _found(method, request)
    return None if found is None else found(request)


def _found(method: str, request: Request) -> Callable[[Request], Body] | None:
    for (verb, pattern), found in _ANSWERS.items():
        if verb == method and re.fullmatch(pattern, request.path):
            return found
    return None


def _models(request: Request) -> Body:
    return {"object": "list", "data": [], "has_more": False}


def _upload(request: Request) -> Body:
    form = request.form()
    file = form.files.get("file")
    name, content = (file.name, file.content) if file else ("", b"")
    sized = {"bytes": len(content), "filename": name, "purpose": form.fields.get("purpose", "")}
    return {**_file(f"file-{sha256(content).hexdigest()[:20]}"), **sized}


def _polled(request: Request) -> Body:
    return {**_file(request.path.rpartition("/")[2]), "bytes": 1, "filename": "", "purpose": ""}


def _file(id: str) -> dict[str, object]:
    return {"id": id, "object": "file", "created_at": _CREATED, "status": "processed"}


def _batch(request: Request) -> Body:
    return openai_batch(request.path.rpartition("/")[2], _CREATED, {})


def _message_batch(request: Request) -> Body:
    return anthropic_batch(request.path.rpartition("/")[2], _CREATED, 1)


def _counted(name: str) -> Callable[[Request], Body]:
    return lambda request: {name: tokens_in(request.content.decode())}


def _access(request: Request) -> Body:
    return {"access_token": "metered", "token_type": "Bearer", "expires_in": 3600}


_ANSWERS: Mapping[tuple[str, str], Callable[[Request], Body]] = {
    ("GET", r"(/\w+)?(/openai)?/v1/models"): _models,
    ("POST", r"/v1/files"): _upload,
    ("GET", r"/v1/files/[^/]+"): _polled,
    ("GET", r"/v1/batches/[^/]+"): _batch,
    ("GET", r"/v1/messages/batches/[^/]+"): _message_batch,
    ("POST", r"/v1/messages/count_tokens"): _counted("input_tokens"),
    ("POST", r"/gemini/.+:countTokens"): _counted("totalTokens"),
    ("POST", r"/bedrock/model/[^/]+/count-tokens"): _counted("inputTokens"),
    ("POST", rf"{ROOT}oauth/token"): _access,
}
