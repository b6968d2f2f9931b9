"""Jobs that are paid by the dollar, and what their code allows."""

import os

from payonce import Payonce

app = Payonce("sqlite:///payonce.db", version="1", look_every=None)
app.budget("2 USD", tenant="*", per="day")


@app.step(cost="1 USD")
def pay(n: int) -> int:
    with open(os.environ["SENT"], "a") as bill:
        bill.write(f"{n}\n")
    return n


@app.job(key="order:{n}", tenant="{tenant}", budget="5 USD")
def order(n: int, tenant: str, many: int) -> int:
    return sum(pay(i) for i in range(many))


@app.job(key="order:{n}")
def other(n: int) -> int:
    return pay(n)
