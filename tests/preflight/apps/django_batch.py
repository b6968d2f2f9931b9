"""Django and SQLite, with Django's own migrations."""

import os
import sys

import django
from django.conf import settings
from llm import texts

from payonce import Payonce
from payonce.queues.wsgi import DeliveryMiddleware

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "school.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["school"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
)
django.setup()

from django.core.management import execute_from_command_line  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from school.models import Course  # noqa: E402

app = Payonce("sqlite:///payonce.db", look_every=None)  # each test heals in its own way
app.capture()
if "WATCH" in os.environ:
    app.watch(connection)
NEEDS = [app.schema(connection, Course)] if "NEEDS" in os.environ else []


@app.job(key="course:{course_id}", name="course", needs=NEEDS)
def generate(course_id: int) -> str:
    written = texts(course_id)
    Course.objects.create(id=course_id, outline=written[0])
    return written[0]


def deliver(request: HttpRequest, course_id: int) -> HttpResponse:
    return HttpResponse(generate(course_id))


urlpatterns = [path("courses/<int:course_id>", deliver)]
served = DeliveryMiddleware(get_wsgi_application(), app=app, queue="cloud-tasks")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
