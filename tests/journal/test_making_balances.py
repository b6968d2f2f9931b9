"""A balance is made while others pay: whatever is being committed meanwhile counts in it."""

from __future__ import annotations

from contextlib import closing
from threading import Thread

from tests.journal.making import intended, intent, opened
from tests.journal.stores import PostgresStore

from payonce import budget
from payonce.money import Budget


def test_a_new_balance_does_not_miss_what_is_being_committed(
    postgres_store: PostgresStore,
) -> None:
    """Where a receipt and the balance that it counts in are written at once, neither of which sees
    the other, the receipt is counted all the same."""
    journal, maker = postgres_store.journal(), postgres_store.journal()
    run, other = opened(journal), opened(journal, "course:2")
    call_id = intended(journal, run)
    budgets = (Budget("tenant", "acme", "day", 100),)
    allowances = budget.allowances(other, budgets, (), "USD", maker.now())
    asked = intent(other, allowances=allowances, ceiling_nanos=1)
    held: list[object] = []
    with closing(postgres_store.connect()) as late:
        late.execute("INSERT INTO payonce_payloads (codec, body) VALUES ('json', '1')")
        late.execute(
            "UPDATE payonce_calls SET state = 'paid', cost_nanos = 7, ended_at = started_at, "
            f"answer_id = (SELECT max(id) FROM payonce_payloads) WHERE id = {call_id}"
        )
        asks = Thread(target=lambda: held.append(maker.intend(asked).now()))
        asks.start()
        while asks.is_alive() and not postgres_store.execute(
            "SELECT pid FROM pg_locks WHERE NOT granted"
        ):
            asks.join(0.01)
        late.commit()
    asks.join(30)
    [balance] = journal.ledger.balances()
    assert (balance.spent, len(held)) == (7, 1)
