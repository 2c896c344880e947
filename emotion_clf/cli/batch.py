"""``emotion-clf batch``: many links and files, here or through a service."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from emotion_clf.batch.items import Failure, Outcome, Report, sources_in
from emotion_clf.cli.batch_progress import batch_progress
from emotion_clf.cli.journal import Form, beside, journalled, open_journal
from emotion_clf.cli.pipeline_options import chosen_options, pipeline_options

_SOME_FAILED = 1
"""The exit code of a batch that is done, though not everything in it went well."""
_LONGEST_LIST = 64 << 20
"""Bytes of a list; what is longer is none."""
_OF_THE_SERVICE = ("config", "method", "whisper_model")
"""Options that a service has settled for everybody."""
_PATIENCE_SECONDS = 600


@click.command()
@click.argument("listing", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Instead of stdout. What is in it already is not done again.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="JSON Lines or CSV.  [default: as the output is named, else jsonl]",
)
@click.option("--retry-failed", is_flag=True, help="Do again what has failed.")
@click.option("--api", metavar="URL", help="Have it done by the service there.")
@click.option(
    "--token",
    envvar="EMOTION_CLF_TOKEN",
    show_envvar=True,
    help="What the service knows you by.",
)
@pipeline_options
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    listing: Path,
    output: Path | None,
    form: Form | None,
    retry_failed: bool,
    api: str | None,
    token: str | None,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Analyse the links and files that FILE lists, one a line; `-` reads the list from stdin.

    Empty lines and lines that start with # are skipped. Started again with the same output, it
    goes on where it stopped.
    """
    if retry_failed and output is None:
        raise click.UsageError("--retry-failed needs --output.")
    if output and output.exists() and listing.exists() and output.samefile(listing):
        raise click.UsageError(f"{output} is the list itself; name another file.")
    sources = _sources(listing)
    form = form or ("csv" if output and output.suffix.lower() == ".csv" else "jsonl")
    with ExitStack() as opened:
        journal = opened.enter_context(open_journal(output, form, retry_failed=retry_failed))
        ended = {source: journal.ended[source] for source in sources if source in journal.ended}
        failed = {source: error for source, error in ended.items() if error}
        progress = opened.enter_context(
            batch_progress(len(sources), done=len(ended), failed=len(failed), quiet=quiet)
        )
        left = [source for source in sources if source not in ended]
        for outcome in _outcomes(opened, left, output, api, token, chosen, progress.working):
            journal.write(outcome)
            progress.ended(outcome)
            if outcome.error:
                failed[outcome.source] = outcome.error
    if failed:
        _list_failures(failed, len(sources))
        click.get_current_context().exit(_SOME_FAILED)


def _outcomes(
    opened: ExitStack,
    sources: Sequence[str],
    output: Path | None,
    api: str | None,
    token: str | None,
    chosen: Mapping[str, Any],
    report: Report,
) -> Iterator[Outcome]:
    """Yield what becomes of each source, here or through the service."""
    if api is None:
        from emotion_clf.batch.here import analyse_here

        settings = {name: value for name, value in chosen.items() if name != "config"}
        return analyse_here(sources, chosen_options(chosen["config"], settings), report)

    from emotion_clf.batch.submissions import Submissions
    from emotion_clf.batch.through_service import analyse_through
    from emotion_clf.client import Client

    options = _service_options(chosen)
    path = beside(output, ".jobs") if output else None
    with journalled(path):
        submissions = opened.enter_context(closing(Submissions(path)))
    client = Client(api, token, patience=_PATIENCE_SECONDS)
    return analyse_through(client, submissions, sources, options, report)


def _service_options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the command line as those of ``POST /jobs``."""
    given = {name: value for name, value in chosen.items() if value is not None}
    for name in _OF_THE_SERVICE:
        if name in given:
            raise click.UsageError(f"--{name.replace('_', '-')} is the service's own with --api.")
    policies = given.get("redact_pii")
    if policies in ("true", "false"):
        given["redact_pii"] = policies == "true"
    elif policies:
        given["redact_pii"] = [name.strip() for name in policies.split(",")]
    return given


def _sources(listing: Path) -> tuple[str, ...]:
    """Return what the list names; raise :class:`click.UsageError` where it cannot be read."""
    try:
        if str(listing) == "-":
            text = sys.stdin.buffer.read(_LONGEST_LIST + 1)
        else:
            with listing.open("rb") as file:
                text = file.read(_LONGEST_LIST + 1)
    except OSError as error:
        raise click.UsageError(f"{listing} cannot be read: {error.strerror}.") from error
    if len(text) > _LONGEST_LIST:
        raise click.UsageError(f"{listing} is too long for a list of links and files.")
    return sources_in(text.decode("utf-8-sig", "replace").splitlines())


def _list_failures(failed: Mapping[str, Failure], total: int) -> None:
    click.echo(f"{len(failed)} of {total} failed:", err=True)
    for source, error in failed.items():
        click.echo(f"  {error.code}  {source}: {error.message}", err=True)
