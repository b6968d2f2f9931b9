"""FastAPI, the middleware around the outermost app."""

import work
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from payonce.queues.asgi import DeliveryMiddleware

api = FastAPI()


@api.post("/{queue}/run/{scenario}")
def run(scenario: str) -> Response:
    return Response(work.job(scenario), media_type="application/json")


@api.post("/{queue}/async/{scenario}")
async def run_async(scenario: str) -> Response:
    return Response(work.job(scenario), media_type="application/json")


@api.post("/{queue}/thread/{scenario}")
def thread(scenario: str) -> Response:
    return Response(work.threaded(scenario), media_type="application/json")


@api.post("/{queue}/caught/{scenario}")
def caught(scenario: str) -> Response:
    return PlainTextResponse(work.caught(scenario), 418)


@api.post("/{queue}/accepted/{scenario}")
def accepted(scenario: str) -> Response:
    return PlainTextResponse(work.caught(scenario), 202)


@api.post("/{queue}/meet")
def meet() -> Response:
    return Response(work.met(), media_type="application/json")


@api.post("/{queue}/stream")
def stream() -> Response:
    return StreamingResponse(work.stream())


@api.post("/{queue}/torn")
def torn() -> Response:
    return StreamingResponse(work.torn())


@api.post("/{queue}/unbegun")
def unbegun() -> Response:
    return StreamingResponse(work.unbegun())


@api.post("/{queue}/release")
def release() -> Response:
    work.released.set()
    return Response()


@api.post("/{queue}/huge")
def huge() -> Response:
    return Response(b"e" * 3_000_000, 500)


@api.post("/{queue}/echo")
async def echo(request: Request) -> Response:
    size = len(await request.body())
    return JSONResponse({"size": size, "message": work.current().delivery.message})


by_queue = {name: DeliveryMiddleware(api, app=work, queue=name) for name in work.QUEUES}


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope.get("path", "/").split("/")[1] if scope["type"] == "http" else "http"
    await by_queue[name](scope, receive, send)
