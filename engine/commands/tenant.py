"""``frontdesk tenant``: businesses in and out of the database, and documents checked without one."""

import json
from pathlib import Path

import click
import trio
import yaml

from engine import log
from engine.config import Settings
from engine.server.shelf import open_shelf
from engine.tenants.documents import read_tenants
from engine.tenants.tenant import Tenant
from engine.tools.catalog import standard_catalog

_DOCUMENTS = click.Path(exists=True, path_type=Path)


@click.group()
def tenant() -> None:
    """Import, export, list and check tenants."""
    log.configure("WARNING", pretty=True)


@tenant.command("import")
@click.argument("paths", nargs=-1, required=True, type=_DOCUMENTS)
def import_(*, paths: tuple[Path, ...]) -> None:
    """Put the tenants of these documents (or directories of them) into the database, knowledge notes included."""
    documents = [document for path in paths for document in read_tenants(path)]
    trio.run(_import, Settings.read(), documents)


async def _import(settings: Settings, documents: list[Tenant]) -> None:
    async with open_shelf(settings) as shelf:
        for document in documents:
            changed = await shelf.put(document)
            click.echo(f"{document.id}: {'imported' if changed else 'unchanged'}")


@tenant.command("export")
@click.argument("tenant_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON rather than YAML.")
def export(*, tenant_id: str, as_json: bool) -> None:
    """Print a tenant's document, as it can be imported again."""
    found = trio.run(_get, Settings.read(), tenant_id).model_dump(mode="json", by_alias=True)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110), nl=False)


async def _get(settings: Settings, tenant_id: str) -> Tenant:
    async with open_shelf(settings) as shelf:
        return await shelf.tenant(tenant_id)


@tenant.command("list")
def list_() -> None:
    """Print every tenant: id, name, numbers."""
    for found in trio.run(_list, Settings.read()):
        click.echo(f"{found.id}\t{found.name}\t{' '.join(found.numbers)}")


async def _list(settings: Settings) -> list[Tenant]:
    async with open_shelf(settings) as shelf:
        return await shelf.tenants()


@tenant.command("check")
@click.argument("paths", nargs=-1, required=True, type=_DOCUMENTS)
def check(*, paths: tuple[Path, ...]) -> None:
    """Say whether these documents can be imported: every mistake with its path, its value and its cure."""
    catalog = standard_catalog()
    for path in paths:
        for document in read_tenants(path):
            # What calls an endpoint of the tenant's own needs the operator's secrets, so it is checked at start.
            built_in = tuple(tool for tool in document.tools if tool.endpoint is None)
            catalog.for_tenant(document.model_copy(update={"tools": built_in}))
            click.echo(f"{document.id}: fine")


@tenant.command("schema")
def schema() -> None:
    """Print the JSON Schema of a tenant document, for editors and other people's tools."""
    click.echo(json.dumps(Tenant.model_json_schema(by_alias=True), indent=2))
