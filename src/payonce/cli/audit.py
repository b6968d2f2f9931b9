"""Front: `payonce audit`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from payonce.cli.options import json_option

_NOTHING, _FOUND = 2, 1


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILES...")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="FIELD=NAME,…",
    help="Name the fields of records of no known format: time=ts,task=job.id,cost=usd.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=2),
    metavar="N",
    default=3,
    show_default=True,
    help="Take so many failed deliveries for a storm.",
)
@click.option(
    "--memory",
    type=click.IntRange(min=64),
    metavar="MB",
    default=512,
    show_default=True,
    help="Memory for DuckDB; beyond it goes to a temporary file.",
)
@json_option
@click.option("--markdown", is_flag=True, help="Print Markdown, to be pasted.")
@click.pass_context
def audit(
    context: click.Context,
    files: tuple[str, ...],
    mapping: tuple[str, ...],
    attempts: int,
    memory: int,
    as_json: bool,
    markdown: bool,
) -> None:
    """Find out, from files that you already have, what was paid for nothing.

    FILES are exports and logs, folders of them, or - for what is piped in; plain or packed,
    recognised by what is in them: OpenAI and Anthropic usage and costs, LiteLLM SpendLogs,
    Langfuse traces, OpenTelemetry spans, Cloud Run and Cloud Tasks logs, Celery and SQS log lines,
    other JSON lines, CSV and Parquet with --map. No journal is needed, nothing is sent anywhere.
    What a file can't tell is said. Needs payonce[audit].

    The exit code is 0 if there is no storm and no waste, 1 if there is, 2 if no file can be read.

    \b
    Examples:
      payonce audit usage.json spendlogs.jsonl task_operations_log.json
      zcat app.log.*.gz | payonce audit - spendlogs.parquet
      payonce audit logs/ --json | jq '.storms[] | {task, wasted_calls}'
      payonce audit logs/ --markdown > post-mortem.md
      payonce audit calls.csv --map time=ts,task=job_id,cost=usd,prompt=prompt
    """
    from payonce.audit.auditing import audit as audited
    from payonce.audit.document import findings_document
    from payonce.audit.formats.mapped import mapping_of
    from payonce.audit.markdown import findings_markdown
    from payonce.audit.view import findings_view
    from payonce.cli.printing import print_error, print_json, print_view
    from payonce.errors import ConfigError

    try:
        with _bar() as sees:
            found = audited(
                files, mapping=mapping_of(mapping), least=attempts, memory_mb=memory, sees=sees
            )
    except ConfigError as exc:
        print_error(exc)
        context.exit(_NOTHING)
    if as_json:
        print_json(findings_document(found))
    elif markdown:
        click.echo(findings_markdown(found), nl=False)
    else:
        print_view(findings_view(found))
    if not found.read:
        context.exit(_NOTHING)
    context.exit(_FOUND if found.wasteful else 0)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from payonce.audit.wording import legible
    from payonce.cli.printing import console

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def sees(what: str, done: int, total: int) -> None:
            progress.update(task, description=legible(what, 40), completed=done, total=total)

        yield sees
