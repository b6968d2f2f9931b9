"""Starlette, the middleware inside of its own error middleware."""

import work
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from payonce.queues.asgi import DeliveryMiddleware


async def run(request: Request) -> Response:
    return Response(work.job(request.path_params["scenario"]), media_type="application/json")


async def thread(request: Request) -> Response:
    told = await run_in_threadpool(work.threaded, request.path_params["scenario"])
    return Response(told, media_type="application/json")


async def caught(request: Request) -> Response:
    return PlainTextResponse(work.caught(request.path_params["scenario"]), 418)


async def accepted(request: Request) -> Response:
    return PlainTextResponse(work.caught(request.path_params["scenario"]), 202)


async def meet(request: Request) -> Response:
    return Response(await run_in_threadpool(work.met), media_type="application/json")


async def stream(request: Request) -> Response:
    return StreamingResponse(work.stream())


async def torn(request: Request) -> Response:
    return StreamingResponse(work.torn())


async def unbegun(request: Request) -> Response:
    return StreamingResponse(work.unbegun())


async def release(request: Request) -> Response:
    work.released.set()
    return Response()


async def huge(request: Request) -> Response:
    return Response(b"e" * 3_000_000, 500)


async def echo(request: Request) -> Response:
    size = len(await request.body())
    return JSONResponse({"size": size, "message": work.current().delivery.message})


def built(queue: str) -> Starlette:
    scenarios = (("run", run), ("async", run), ("thread", thread), ("caught", caught))
    plain = (meet, stream, torn, unbegun, release, huge, echo)
    routes = [Route(f"/{{queue}}/{n}/{{scenario}}", f, methods=["POST"]) for n, f in scenarios]
    routes += [Route("/{queue}/accepted/{scenario}", accepted, methods=["POST"])]
    routes += [Route(f"/{{queue}}/{f.__name__}", f, methods=["POST"]) for f in plain]
    api = Starlette(routes=routes)
    api.add_middleware(DeliveryMiddleware, app=work, queue=queue)
    return api


by_queue = {name: built(name) for name in work.QUEUES}


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope.get("path", "/").split("/")[1] if scope["type"] == "http" else "http"
    await by_queue[name](scope, receive, send)
