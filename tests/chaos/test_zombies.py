"""Workers that are stopped in the middle of a paid call, for longer than their lease, and go on."""

from __future__ import annotations

import signal
import time

import pytest
from tests.chaos.site import Site, Worker
from tests.chaos.test_scenarios import ELSEWHERE, ONCE, THIRD_TWICE

from payonce.model import CallState, RunState


def _stopped_in(site: Site, label: str) -> Worker:
    """A worker that is stopped while it waits for an answer that was billed and has been sent."""
    with site.provider.hold(label) as held:
        worker = site.start(lease=1)
        assert held.arrived.wait(20)
        worker.process.send_signal(signal.SIGSTOP)
    return worker


def test_a_zombie_keeps_its_receipt_and_makes_no_further_call(site: Site) -> None:
    """SIGSTOP in the third call, another host takes over and finishes, SIGCONT: the late receipt
    is kept, no text is paid for by the zombie any more, and it hears the run's own result."""
    site.migrate()
    zombie = _stopped_in(site, "three")
    other = site.deliver(**ELSEWHERE)
    assert (other.word, site.bill()) == ("done", THIRD_TWICE)

    zombie.process.send_signal(signal.SIGCONT)
    assert zombie.told() == other
    assert (site.bill(), site.rows(), site.run.state) == (THIRD_TWICE, 1, RunState.DONE)
    thirds = [call for call in site.calls() if call.send == 2 or call.attempt == 1][-2:]
    assert [(call.attempt, call.state) for call in thirds] == [
        (1, CallState.PAID),
        (2, CallState.PAID),
    ]
    assert site.doubts() == []
    attempts = site.journal.history(site.run.id).attempts
    assert [attempt.outcome for attempt in attempts] == ["lost", "done"]


def test_a_zombies_receipt_wakes_the_run_that_waits_for_a_word_on_it(site: Site) -> None:
    """Where a doubt parks, the zombie's receipt settles it: the run goes on without a person, and
    nothing is paid twice."""
    site.migrate()
    site.deploy("careful")
    zombie = _stopped_in(site, "three")
    assert site.deliver(**ELSEWHERE).word == "Parked"
    assert len(site.doubts()) == 1

    zombie.process.send_signal(signal.SIGCONT)
    assert zombie.told().word in ("RetryLater", "Busy")
    assert site.doubts() == []
    assert site.run.state is RunState.WAITING
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (ONCE, 1)


@pytest.mark.parametrize("label", ["one", "five"])
def test_a_zombie_that_nobody_overtook_makes_no_call_under_its_old_lease(
    site: Site, label: str
) -> None:
    """SIGSTOP for longer than the lease with nobody else there: the run still ends, paid once."""
    site.migrate()
    zombie = _stopped_in(site, label)
    until = site.run.lease_until
    assert until is not None
    while site.journal.now() <= until:
        time.sleep(0.05)
    zombie.process.send_signal(signal.SIGCONT)
    word = zombie.told().word
    while word != "done":
        word = site.deliver().word
    assert (site.bill(), site.rows(), site.run.state) == (ONCE, 1, RunState.DONE)
