"""Flask, the middleware around `wsgi_app`."""

from collections.abc import Iterable

import work
from flask import Flask, Response, request

from payonce.queues.wsgi import DeliveryMiddleware, Environ, StartResponse

web = Flask(__name__)


@web.post("/<queue>/run/<scenario>")
def run(queue: str, scenario: str) -> Response:
    return Response(work.job(scenario), content_type="application/json")


@web.post("/<queue>/async/<scenario>")
async def run_async(queue: str, scenario: str) -> Response:
    return Response(work.job(scenario), content_type="application/json")


@web.post("/<queue>/thread/<scenario>")
def thread(queue: str, scenario: str) -> Response:
    return Response(work.threaded(scenario), content_type="application/json")


@web.post("/<queue>/caught/<scenario>")
def caught(queue: str, scenario: str) -> Response:
    return Response(work.caught(scenario), 418)


@web.post("/<queue>/accepted/<scenario>")
def accepted(queue: str, scenario: str) -> Response:
    return Response(work.caught(scenario), 202)


@web.post("/<queue>/meet")
def meet(queue: str) -> Response:
    return Response(work.met(), content_type="application/json")


@web.post("/<queue>/stream")
def stream(queue: str) -> Response:
    return Response(work.stream())


@web.post("/<queue>/torn")
def torn(queue: str) -> Response:
    return Response(work.torn())


@web.post("/<queue>/unbegun")
def unbegun(queue: str) -> Response:
    return Response(work.unbegun())


@web.post("/<queue>/release")
def release(queue: str) -> Response:
    work.released.set()
    return Response()


@web.post("/<queue>/huge")
def huge(queue: str) -> Response:
    return Response(b"e" * 3_000_000, 500)


@web.post("/<queue>/echo")
def echo(queue: str) -> dict[str, object]:
    size = len(request.get_data())
    return {"size": size, "message": work.current().delivery.message}


by_queue = {name: DeliveryMiddleware(web.wsgi_app, app=work, queue=name) for name in work.QUEUES}


def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return by_queue[environ["PATH_INFO"].split("/")[1]](environ, start_response)
