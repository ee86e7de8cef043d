"""``frontdesk migrate``: bring the database's tables up to this version; every other command does so too when it opens
it, so this one is for those who want it done beforehand.
"""

import click
import trio

from engine import log
from engine.config import Settings
from engine.store.database import DatabaseConfig, open_database


@click.command()
def migrate() -> None:
    """Create or update the database's tables; safe to run twice, and by two at once."""
    log.configure("WARNING", pretty=True)
    trio.run(_migrate, Settings.read())
    click.echo("the database is up to date")


async def _migrate(settings: Settings) -> None:
    url = settings.database_url.get_secret_value() if settings.database_url else None
    async with open_database(DatabaseConfig(url, settings.data_dir)):
        pass
