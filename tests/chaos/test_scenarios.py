"""A batch of five paid calls and a failing write, turned round and round.

The letters are those of the table of scenarios in `docs/guarantees.md`. Each delivery is a
process of its own, and the provider's bill is the witness.
"""

from __future__ import annotations

import os
import signal

import pytest
from tests.chaos.site import Site, locked

import payonce
from payonce.model import CallState, RunState
from payonce.testing import BilledCall, MeteredProvider, hook, status

PARTS = ("one", "two", "three", "four", "five")
ONCE = dict.fromkeys(PARTS, 1)
THIRD_TWICE = ONCE | {"three": 2}
ELSEWHERE = {"worker_host": "another-pod"}
"""What makes a process believe that it runs on another machine than the test's other workers."""


def _texts_of(site: Site) -> list[str]:
    """The labels of the texts in the run's value, in their order."""
    told = site.deliver()
    assert told.word == "done", told
    return [text.partition(" · ")[2].partition(" of ")[0] for text in told.value]


def test_a_without_payonce_each_delivery_pays_again(site: Site) -> None:
    """A. The control: four deliveries, twenty paid calls, and no row."""
    site.deploy("bare")
    assert {site.deliver().word for _ in range(4)} == {"OperationalError"}
    assert (site.bill(), site.rows()) == (dict.fromkeys(PARTS, 4), 0)


def test_b_the_first_failure_parks_the_run(site: Site) -> None:
    """B. One delivery pays for five texts; those that follow pay nothing and try nothing."""
    told = [site.deliver() for _ in range(4)]
    assert [(answer.word, answer.kind) for answer in told] == [("Parked", "deterministic")] * 4
    assert (site.bill(), site.count("writes"), site.rows()) == (ONCE, 1, 0)
    assert "outline" in told[-1].text


def test_b2_the_migration_lets_the_same_run_finish(site: Site) -> None:
    """B2. After ALTER TABLE the next delivery finishes under the same key, for nothing."""
    assert site.deliver().word == "Parked"
    parked = site.run
    site.migrate()
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (ONCE, 1)
    assert (site.run.id, site.run.key, site.run.state) == (parked.id, parked.key, RunState.DONE)


def test_b3_a_person_can_let_it_go_on(site: Site) -> None:
    """B3. After ALTER TABLE the run is called again from the journal, without any delivery."""
    assert site.deliver().word == "Parked"
    site.migrate()
    assert site.deliver("again").word == "done"
    assert (site.bill(), site.rows()) == (ONCE, 1)


def test_d_a_job_without_a_key_is_refused() -> None:
    """D. A forgotten key is refused when the job is defined, not found on the bill."""
    app = payonce.Payonce("sqlite:///never-opened.db")
    with pytest.raises(payonce.KeyTemplateError, match="has no run key"):

        @app.job(key="")
        def generate(course_id: int) -> None: ...

    with pytest.raises(payonce.KeyTemplateError, match="needs a key"):
        app.job(generate_without_key)


def generate_without_key(course_id: int) -> None:
    """A job whose decorator was written without its brackets."""


@pytest.mark.parametrize("in_doubt", ["retry", "park"])
def test_e_a_hopeless_write_that_is_a_step_is_tried_once(site: Site, in_doubt: str) -> None:
    """E. One attempt of the write in three deliveries; after ALTER TABLE it is made again, since
    its database had refused it."""
    site.deploy("saving")
    assert {site.deliver(in_doubt=in_doubt).word for _ in range(3)} == {"Parked"}
    assert site.count("writes") == 1
    site.migrate()
    assert site.deliver(in_doubt=in_doubt).word == "done"
    assert (site.bill(), site.count("writes"), site.rows()) == (ONCE, 2, 1)


def test_f_an_outage_of_the_database_heals(site: Site) -> None:
    """F. The user's database is away for two deliveries; the third finishes, nothing is paid
    again."""
    site.migrate()
    with locked(site.folder / "school.db"):
        assert [site.deliver().word for _ in range(2)] == ["RetryLater"] * 2
    assert site.deliver().word == "done"
    assert (site.bill(), site.count("writes"), site.rows()) == (ONCE, 3, 1)


@pytest.mark.parametrize("app", ["course", pytest.param("sdk", marks=pytest.mark.slow)])
def test_g_one_503_does_not_lose_the_batch(site: Site, provider: MeteredProvider, app: str) -> None:
    """G. A single 503 of the provider: the batch finishes, and the refusal is on record."""
    site.migrate()
    site.deploy(app)
    provider.fail("three", status(503))
    words = [site.deliver().word for _ in range(2)]
    assert words == (["RetryLater", "done"] if app == "course" else ["done", "done"])
    assert (site.bill(), site.rows()) == (ONCE, 1)
    (refused,) = site.calls(CallState.RELEASED)
    assert "503" in (refused.reason or "")


def test_h_kill_9_between_the_answer_and_its_record(site: Site) -> None:
    """H. Killed after the provider's answer, started again on the same host: the call is shown
    in doubt, repeated once, and the batch finishes."""
    site.migrate()
    site.killed_in("three")
    assert [call.state for call in site.calls()][-1] is CallState.INTENDED
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)
    (doubt,) = site.doubts()
    assert doubt.attempt == 1


def test_h2_a_call_is_repeated_at_most_once(site: Site) -> None:
    """H. Killed in the repetition as well: the run parks and names the call, which a person
    resolves; nothing is repeated in silence."""
    site.migrate()
    site.killed_in("three")
    site.killed_in("three")
    told = [site.deliver(), site.deliver()]
    assert [answer.word for answer in told] == ["Parked", "Parked"]
    assert [answer.paid for answer in told] == ["unknown", "no"]
    assert site.bill() == {"one": 1, "two": 1, "three": 2}

    named = site.doubts()[-1]
    assert f"payonce resolve {named.id} " in told[0].text
    assert site.journal.resolve(named.id, "pay_again", "cheap enough", None).now()
    assert site.journal.wake(site.run).now()
    assert site.deliver().word == "done"
    assert site.bill() == ONCE | {"three": 3}


def test_h3_a_step_whose_effect_is_unknown_parks_until_a_person_has_looked(site: Site) -> None:
    """H. With `in_doubt="park"`, the default of steps, nothing is repeated before a person's
    word."""
    site.migrate()
    site.deploy("careful")
    site.killed_in("three")
    assert [site.deliver().word for _ in range(2)] == ["Parked", "Parked"]
    assert site.bill() == {"one": 1, "two": 1, "three": 1}
    (doubt,) = site.doubts()

    assert site.journal.resolve(doubt.id, "pay_again", "cheap enough", None).now()
    assert site.journal.wake(site.run).now()
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT])
def test_h4_a_worker_that_is_told_to_stop(site: Site, word: signal.Signals) -> None:
    """H. The same where a signal ends the process in the middle of the call, as a deploy does."""
    site.migrate()
    with site.provider.hold("three") as held:
        worker = site.start()
        assert held.arrived.wait(20)
        worker.process.send_signal(word)
        assert worker.process.wait(20) == -word
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows(), len(site.doubts())) == (THIRD_TWICE, 1, 1)


def test_i_another_host_takes_over(site: Site) -> None:
    """I. The same on a new host: it waits for the end of the lease, then does as the old one
    would have."""
    site.migrate()
    site.killed_in("three", lease=1)
    assert site.deliver(**ELSEWHERE).word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)
    assert len(site.doubts()) == 1
    owners = [attempt.owner for attempt in site.journal.history(site.run.id).attempts]
    assert [owner.startswith("another-pod/") for owner in owners] == [False, True]


def test_r_a_person_resumes_on_another_host(site: Site) -> None:
    """R. The same, resumed by a person there, out of the journal."""
    site.migrate()
    site.killed_in("three", lease=1)
    assert site.deliver("again", **ELSEWHERE).word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)
    assert len(site.doubts()) == 1


def test_j_a_new_version_takes_over(site: Site) -> None:
    """J, O. The same under a new version of the code: no run belongs to a version."""
    site.migrate()
    site.killed_in("three", lease=1, payonce_version="v1")
    assert site.deliver(payonce_version="v2", **ELSEWHERE).word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)
    assert len(site.doubts()) == 1
    worlds = [attempt.world.code for attempt in site.journal.history(site.run.id).attempts]
    assert worlds == ["v1", "v2"]


def test_k_two_deliveries_at_once_share_one_bill(site: Site) -> None:
    """K. Two processes on two hosts: one attempt, five billed calls, both are answered."""
    site.migrate()
    with site.provider.hold("one") as held:
        first = site.start()
        assert held.arrived.wait(20)
        second = site.start(**ELSEWHERE)
    told = [first.told(), second.told()]
    assert told[0] == told[1]
    assert told[0].word == "done"
    assert (site.bill(), site.rows(), site.run.attempt) == (ONCE, 1, 1)


@pytest.mark.parametrize("where", [{}, ELSEWHERE])
def test_l_a_second_process_that_starts_changes_nothing(site: Site, where: dict[str, str]) -> None:
    """L. While the first call is in flight another process starts: the answer is kept."""
    site.migrate()
    with site.provider.hold("one") as held:
        worker = site.start()
        assert held.arrived.wait(20)
        assert site.deliver("start", **where).value == 1
    assert worker.told().word == "done"
    assert (site.bill(), site.rows(), site.run.attempt) == (ONCE, 1, 1)


def test_m_a_process_that_dies_after_each_answer_is_capped(site: Site) -> None:
    """M. The third text kills its process each time: it is billed twice at most, then the run
    parks and says which step it was."""
    site.migrate()
    site.deploy("deadly")
    assert [site.start().died() for _ in range(2)] == [True, True]
    told = [site.deliver() for _ in range(3)]
    assert {answer.word for answer in told} == {"Parked"}
    assert "course.write is in doubt" in told[-1].text
    assert site.bill() == {"one": 1, "two": 1, "three": 2}


@pytest.mark.slow
def test_m2_so_is_one_that_dies_in_the_sdk(site: Site, provider: MeteredProvider) -> None:
    """M. The same where OpenAI's SDK makes the call, and the process dies while it waits."""
    site.migrate()
    site.deploy("sdk")

    def kill(_: BilledCall | None) -> None:
        os.kill(working.process.pid, signal.SIGKILL)

    provider.fail("three", hook(kill), times=None)
    for _ in range(2):
        working = site.start()
        assert working.died()
    assert site.deliver().word == "Parked"
    assert site.bill() == {"one": 1, "two": 1, "three": 2}


def test_n1_the_fix_swaps_two_calls(site: Site) -> None:
    """N1. New code asks the same in another order: each prompt keeps its own answer."""
    assert site.deliver().word == "Parked"
    site.migrate()
    site.deploy("swapped")
    assert _texts_of(site) == ["two", "one", "three", "four", "five"]
    assert (site.bill(), site.rows()) == (ONCE, 1)


def test_n2_the_fix_inserts_a_call(site: Site) -> None:
    """N2. New code asks for one more thing in front: only that is paid."""
    assert site.deliver().word == "Parked"
    site.migrate()
    site.deploy("inserted")
    assert _texts_of(site) == ["zero", *PARTS]
    assert (site.bill(), site.rows()) == (ONCE | {"zero": 1}, 1)


def test_p_an_answer_that_cannot_be_serialised_is_never_paid_again(site: Site) -> None:
    """P. The attempt goes on with the odd answer; a later one parks, says what to do, and pays
    again only on a person's word."""
    site.deploy("odd")
    assert site.deliver().word == "Parked"
    assert site.bill() == ONCE
    site.migrate()
    told = [site.deliver(), site.deliver()]
    assert [answer.word for answer in told] == ["Parked", "Parked"]
    assert told[0].paid == "yes"
    assert "--pay-again" in told[0].text
    assert "Answer 3" in told[0].text
    assert site.bill() == ONCE

    (odd,) = [c for c in site.calls() if c.answer is not None and c.answer.codec == "described"]
    assert site.journal.resolve(odd.id, "pay_again", "the step returns a str now", None).now()
    site.deploy("course")
    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (THIRD_TWICE, 1)


def test_p2_where_nothing_fails_an_odd_answer_is_no_trouble(site: Site) -> None:
    """P. Without a failure the odd answer is used once, and the run is done."""
    site.deploy("odd")
    site.migrate()
    assert [site.deliver().word for _ in range(2)] == ["done", "done"]
    assert (site.bill(), site.rows()) == (ONCE, 1)


def test_q_the_journal_is_away_while_a_call_is_in_flight(site: Site) -> None:
    """Q. The receipt goes to a spill file, no further call is made, and the next delivery merges
    it: nothing is paid again."""
    site.migrate()
    with site.provider.hold("three") as held:
        worker = site.start(patience=0.3)
        assert held.arrived.wait(20)
        with site.locked():
            held.release()
            told = worker.told()
            spilled = site.spilled
    assert told.word == "RetryLater"
    assert site.bill() == {"one": 1, "two": 1, "three": 1}
    assert len(spilled) == 1

    assert site.deliver().word == "done"
    assert (site.bill(), site.rows()) == (ONCE, 1)
    assert not spilled[0].exists()
    assert site.doubts() == []


def test_q2_a_journal_that_comes_back_in_time_is_not_missed(site: Site) -> None:
    """Q. Where the journal is back before patience ends, the attempt goes on."""
    site.migrate()
    with site.provider.hold("three") as held:
        worker = site.start(patience=20)
        assert held.arrived.wait(20)
        with site.locked(), site.provider.hold("four") as next_held:
            held.release()
            assert not next_held.arrived.wait(0.3)
    assert worker.told().word == "done"
    assert (site.bill(), site.rows(), site.run.attempt) == (ONCE, 1, 1)


@pytest.mark.parametrize("command", ["deliver", "again"])
def test_s_while_alive_elsewhere_the_run_is_busy(site: Site, command: str) -> None:
    """S. A delivery, or a person's wake, while an attempt works on another host: `Busy`."""
    site.migrate()
    with site.provider.hold("three") as held:
        worker = site.start()
        assert held.arrived.wait(20)
        assert not site.journal.wake(site.run).now()
        assert site.deliver(command, wait=0.1, **ELSEWHERE).word == "Busy"
        assert site.bill() == {"one": 1, "two": 1, "three": 1}
    assert worker.told().word == "done"
    assert (site.bill(), site.rows(), site.run.attempt) == (ONCE, 1, 1)


@pytest.mark.parametrize("app", ["exact", pytest.param("exact_orm", marks=pytest.mark.slow)])
def test_t_the_last_write_and_the_end_of_the_run_are_one(site: Site, app: str) -> None:
    """T. kill -9 right after the last write is committed: with `app.complete` there is exactly
    one row, and the run has its value."""
    site.deploy(app)
    site.migrate()
    assert site.start().died()
    assert site.rows() == 1
    told = site.deliver()
    assert (told.word, len(told.value)) == ("done", 5)
    assert (site.bill(), site.rows(), site.run.attempt) == (ONCE, 1, 1)
