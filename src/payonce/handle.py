"""On the path: the whole life of a delivery, from the queue's knock to its verdict.

admit      finished → its result · parked, same world → Parked · held → wait or Busy
require    what the job needs is not there           → Parked, or RetryLater: no cent spent
work       the user's function; its steps find their run in the scope
finish     the result, durably                        → done
give_up    classify → decide → close the run          → Parked · RetryLater · Busy
"""

from __future__ import annotations

from typing import Any

from payonce import telling
from payonce.admit import Finished, admit
from payonce.delivery import DeliveryScope, current
from payonce.effects import Invoke, Way
from payonce.ending import drain, finish, give_up, refuse_hopeless
from payonce.entering import App
from payonce.errors import KeyReused, NoJournal, NotDone
from payonce.job import Arguments, Job
from payonce.lease import renewed
from payonce.model import Verdict
from payonce.ready import require
from payonce.scope import RunScope, entered
from payonce.scope import current as inner
from payonce.watching import observed


def deliver(app: App, job: Job, arguments: Arguments) -> Way[Any]:
    """Handle one delivery; its queue hears the verdict through the delivery's scope."""
    heard = current() if inner() is None else DeliveryScope(current().delivery)
    try:
        admitted = yield from admit(app, job, arguments)
        if isinstance(admitted, RunScope):
            admitted = yield from work(app, job, arguments, admitted)
    except (NotDone, KeyReused) as told:
        heard.note(telling.verdict_of(told))
        raise
    except NoJournal as stop:
        later = telling.no_journal(job.name, job.key.fill(arguments.by_name), stop)
        heard.note(telling.verdict_of(later))
        raise later from stop
    heard.note(Verdict("done"))
    return admitted.value


def work(app: App, job: Job, arguments: Arguments, scope: RunScope) -> Way[Finished]:
    """Let the user's function work, under a lease that is renewed, and close the run."""
    with renewed(scope), entered(scope), observed(app.observer, scope):
        try:
            refuse_hopeless(scope)
            yield from require(scope, job.needs)
            value = yield Invoke(lambda: job.call(arguments))
            if scope.left:
                return Finished(value)
            yield from drain(scope)
            scope.check()
            yield from finish(app, scope, job, value)
        except BaseException as failure:
            if scope.left:
                raise
            end = yield from give_up(app, scope, job, arguments, failure)
            if isinstance(end, Finished):
                return end
            if end is failure:
                raise
            raise end from failure
        return Finished(value)
