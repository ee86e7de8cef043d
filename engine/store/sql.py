"""What the twins know of a database: a connection's verbs, and the queries by name.

asyncpg gives no types; ``Connection`` says as much of it as is used. Rows are read by column name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = Mapping[str, Any]

_HEAD = re.compile(r"^-- (?P<name>[a-z_]+): (?P<what>.+)$", re.MULTILINE)


class Connection(Protocol):
    """asyncpg's, on the database's thread. Parameters are ``$1``, ``$2``, ..."""

    async def execute(self, query: str, *args: object) -> str:
        """Run it; the command tag. Several statements where there are no arguments."""

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """Run it for each."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """All rows."""

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """The first row."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row; None where there is no row."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str:
        """COPY, in binary. Not under row level security: PostgreSQL refuses it there."""


def plain(text: str) -> str:
    """What PostgreSQL's text can hold: no NUL, no half characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def query(name: str) -> str:
    """The text of a query of ``queries.sql``."""
    return _queries()[name]


@cache
def _queries() -> dict[str, str]:
    text = Path(__file__).with_name("queries.sql").read_text("utf-8")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = {head["name"]: text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)}
    if len(found) != len(heads):
        raise ValueError("queries.sql: a name is used twice")
    return found
