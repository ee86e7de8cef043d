"""``frontdesk`` and ``python -m engine``: the command line. Commands live in ``engine/commands``, one file each."""

import sys

import click

import engine
from engine.commands.demo import demo
from engine.commands.serve import check_config, serve
from engine.errors import ConfigurationError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Frontdesk: a multi-tenant voice receptionist engine."""


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"frontdesk {engine.__version__}")


cli.add_command(demo)
cli.add_command(serve)
cli.add_command(check_config)


def main() -> None:
    """Run the command line; a set-up mistake is one clear line, not a traceback."""
    try:
        cli()
    except ConfigurationError as error:
        click.echo(f"frontdesk: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
