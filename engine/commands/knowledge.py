"""``frontdesk knowledge``: what a tenant knows, read in from files, and asked."""

from pathlib import Path

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from engine import log
from engine.config import Settings
from engine.retrieval.ingest import Ingested, Refused
from engine.retrieval.ingest import Progress as Step
from engine.retrieval.knowledge_search import KnowledgeSearch
from engine.server.shelf import open_shelf

ASKED_S = 30.0  # a person waits at a terminal, not a caller on the line


@click.group()
def knowledge() -> None:
    """Read documents in, and ask what is known."""
    log.configure("WARNING", pretty=True)


@knowledge.command("ingest")
@click.argument("tenant_id")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def ingest(*, tenant_id: str, paths: tuple[Path, ...]) -> None:
    """Read files or folders in: Markdown, text, HTML, PDF, CSV of questions and answers.

    A file that was read in before is replaced; only what changed is embedded. Exit status 1 if a file was refused.
    """
    refused = trio.run(_ingest, Settings.read(), tenant_id, paths)
    raise SystemExit(1 if refused else 0)


async def _ingest(settings: Settings, tenant_id: str, paths: tuple[Path, ...]) -> bool:
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with open_shelf(settings) as shelf:
        await shelf.tenant(tenant_id)
        with Progress(*columns, console=console, transient=True) as bar:
            rows: dict[str, TaskID] = {}

            def show(step: Step) -> None:
                if step.name not in rows:
                    rows[step.name] = bar.add_task(step.name, total=None)
                bar.update(rows[step.name], completed=step.done, total=step.total or None)

            outcomes = await shelf.library.add_files(tenant_id, list(paths), show)
    for outcome in outcomes:
        match outcome:
            case Ingested(name, passages, embedded):
                click.echo(f"{name}: {passages} passages, {embedded} of them new")
            case Refused(_, why):
                click.echo(f"refused: {why}", err=True)
    return any(isinstance(outcome, Refused) for outcome in outcomes)


@knowledge.command("ask")
@click.argument("tenant_id")
@click.argument("question")
@click.option("--limit", default=3, show_default=True, type=click.IntRange(1, 20))
def ask(*, tenant_id: str, question: str, limit: int) -> None:
    """Print the passages that a caller's question would bring up: score, source, text."""
    trio.run(_ask, Settings.read(), tenant_id, question, limit)


async def _ask(settings: Settings, tenant_id: str, question: str, limit: int) -> None:
    async with open_shelf(settings) as shelf:
        await shelf.tenant(tenant_id)
        search = KnowledgeSearch(shelf.passages, shelf.embedder, deadline_s=ASKED_S)
        began = trio.current_time()
        found = await search.search(tenant_id, question, limit=limit)
        took_ms = 1000 * (trio.current_time() - began)
    for passage in found:
        click.echo(f"{passage.score:.3f}  {passage.source}\n       {passage.text}")
    click.echo(f"{len(found) or 'nothing'} found in {took_ms:.0f} ms", err=True)
