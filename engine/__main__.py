"""``frontdesk`` and ``python -m engine``: the command line. Commands live in ``engine/commands``, one file each."""

import sys

import click

import engine
from engine.commands.backoffice import backoffice
from engine.commands.demo import demo
from engine.commands.knowledge import knowledge
from engine.commands.loadtest import loadtest
from engine.commands.migrate import migrate
from engine.commands.serve import check_config, serve
from engine.commands.tenant import tenant
from engine.commands.usage import usage
from engine.errors import ConfigurationError, StoreUnavailable, first_of_kind


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Frontdesk: a multi-tenant voice receptionist engine."""


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"frontdesk {engine.__version__}")


cli.add_command(demo)
cli.add_command(serve)
cli.add_command(backoffice)
cli.add_command(check_config)
cli.add_command(tenant)
cli.add_command(knowledge)
cli.add_command(migrate)
cli.add_command(loadtest)
cli.add_command(usage)


def main() -> None:
    """Run the command line; a set-up mistake is one clear line, not a traceback, and an interruption is quiet.

    Exit status 2 for a mistake in settings, tenants or arguments, 130 when interrupted; else the command's own.
    """
    # Nurseries hand on what failed in them as groups, so both come alone or in groups.
    status = 0
    try:
        cli()
    except* ConfigurationError as mistakes:
        click.echo(f"frontdesk: {first_of_kind(mistakes, ConfigurationError)}", err=True)
        status = 2
    except* StoreUnavailable as away:
        click.echo(f"frontdesk: {first_of_kind(away, StoreUnavailable)}", err=True)
        status = 2
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
