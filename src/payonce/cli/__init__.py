"""Front: the command line; a command parses, calls one function and prints one report.

Exit codes: 0 all is well, 1 a clear error (`audit`: money was wasted), 2 the command was written
wrongly, or (`preflight`, `audit`) it can't be told, 3 (`wake`) some run is still not done.
"""

from __future__ import annotations

import click

from payonce import __version__
from payonce.cli.group import LazyCommands, LazyGroup

__all__ = ["main"]

COMMANDS = LazyCommands(
    {
        "demo": ("payonce.cli.demo:demo", "Show the accident, and its end, in seconds."),
        "preflight": (
            "payonce.cli.preflight:preflight",
            "Look whether databases hold what jobs need.",
        ),
        "runs": ("payonce.cli.runs:runs", "List runs, the last changed first."),
        "show": ("payonce.cli.show:show", "Show one run: deliveries, attempts, calls, money."),
        "why": ("payonce.cli.why:why", "Say what the money went to, and how that came."),
        "parked": ("payonce.cli.parked:parked", "List parked runs by what they wait for."),
        "wake": ("payonce.cli.wake:wake", "Let runs go on whose world has changed."),
        "resolve": ("payonce.cli.resolve:resolve", "Say what became of a call in doubt."),
        "audit": ("payonce.cli.audit:audit", "Find waste in logs and exports you have."),
        "budget": (
            "payonce.cli.budget:budget",
            "List budgets and their use; set, lift or clear one.",
        ),
        "prune": ("payonce.cli.prune:prune", "Remove old runs that are done."),
        "explain": ("payonce.cli.explain:explain", "Say what a pasted traceback is."),
        "doctor": ("payonce.cli.doctor:doctor", "Look at what is installed and the journal."),
    }
)


@click.group(
    cls=LazyGroup,
    commands=COMMANDS,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, package_name="payonce", prog_name="payonce")
@click.pass_context
def main(context: click.Context) -> None:
    """What was paid for is never paid again.

    payonce keeps a journal of the runs of your jobs and of each call that they paid for. These
    commands read it, and let go on what was set aside. Their store is $PAYONCE_STORE, or the
    file payonce.db in the working directory.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
