"""Django, the middleware around its WSGI and its ASGI application."""

from collections.abc import AsyncIterator, Iterable

import django
import work
from asgiref.sync import sync_to_async
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import (  # noqa: E402
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path  # noqa: E402

from payonce.queues import asgi as asgi_adapter  # noqa: E402
from payonce.queues import wsgi as wsgi_adapter  # noqa: E402


def run(request: HttpRequest, queue: str, scenario: str) -> HttpResponse:
    return HttpResponse(work.job(scenario), content_type="application/json")


async def run_async(request: HttpRequest, queue: str, scenario: str) -> HttpResponse:
    return HttpResponse(work.job(scenario), content_type="application/json")


def thread(request: HttpRequest, queue: str, scenario: str) -> HttpResponse:
    return HttpResponse(work.threaded(scenario), content_type="application/json")


def caught(request: HttpRequest, queue: str, scenario: str) -> HttpResponse:
    return HttpResponse(work.caught(scenario), status=418)


def accepted(request: HttpRequest, queue: str, scenario: str) -> HttpResponse:
    return HttpResponse(work.caught(scenario), status=202)


async def meet(request: HttpRequest, queue: str) -> HttpResponse:
    told = await sync_to_async(work.met, thread_sensitive=False)()
    return HttpResponse(told, content_type="application/json")


def streaming(work_of: str, request: HttpRequest) -> StreamingHttpResponse:
    chunks = getattr(work, work_of)()
    if not hasattr(request, "scope"):
        return StreamingHttpResponse(chunks)

    async def awaited() -> AsyncIterator[bytes]:
        following = sync_to_async(lambda: next(chunks, None), thread_sensitive=False)
        while (chunk := await following()) is not None:
            yield chunk

    return StreamingHttpResponse(awaited())


def stream(request: HttpRequest, queue: str) -> StreamingHttpResponse:
    return streaming("stream", request)


def torn(request: HttpRequest, queue: str) -> StreamingHttpResponse:
    return streaming("torn", request)


def unbegun(request: HttpRequest, queue: str) -> StreamingHttpResponse:
    return streaming("unbegun", request)


def release(request: HttpRequest, queue: str) -> HttpResponse:
    work.released.set()
    return HttpResponse()


def huge(request: HttpRequest, queue: str) -> HttpResponse:
    return HttpResponse(b"e" * 3_000_000, status=500)


def echo(request: HttpRequest, queue: str) -> JsonResponse:
    size = len(request.body)
    return JsonResponse({"size": size, "message": work.current().delivery.message})


urlpatterns = [
    path("<queue>/run/<scenario>", run),
    path("<queue>/async/<scenario>", run_async),
    path("<queue>/thread/<scenario>", thread),
    path("<queue>/caught/<scenario>", caught),
    path("<queue>/accepted/<scenario>", accepted),
    *(
        path(f"<queue>/{view.__name__}", view)
        for view in (meet, stream, torn, unbegun, release, huge, echo)
    ),
]

django_wsgi, django_asgi = get_wsgi_application(), get_asgi_application()
wsgi_by_queue = {
    name: wsgi_adapter.DeliveryMiddleware(django_wsgi, app=work, queue=name) for name in work.QUEUES
}
asgi_by_queue = {
    name: asgi_adapter.DeliveryMiddleware(django_asgi, app=work, queue=name) for name in work.QUEUES
}


def wsgi(
    environ: wsgi_adapter.Environ, start_response: wsgi_adapter.StartResponse
) -> Iterable[bytes]:
    return wsgi_by_queue[environ["PATH_INFO"].split("/")[1]](environ, start_response)


async def asgi(
    scope: asgi_adapter.Scope, receive: asgi_adapter.Receive, send: asgi_adapter.Send
) -> None:
    await asgi_by_queue[scope["path"].split("/")[1]](scope, receive, send)
