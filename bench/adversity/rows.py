"""All rows, by name and by group. A new group is one more module with ``ROWS``."""

from collections.abc import Sequence

from bench.adversity import (
    rows_backup,
    rows_barge_in,
    rows_line,
    rows_model,
    rows_rest,
    rows_time_limit,
    rows_tools,
    store_rows,
    worker_rows,
)
from bench.adversity.types import GROUPS, Row

_MODULES = (
    rows_model,
    rows_backup,
    rows_time_limit,
    rows_line,
    rows_rest,
    rows_tools,
    rows_barge_in,
    store_rows,
    worker_rows,
)

ALL: tuple[Row, ...] = tuple(
    sorted(
        (row for module in _MODULES for row in module.ROWS),
        key=lambda row: GROUPS.index(row.group),
    )
)
BY_NAME = {row.name: row for row in ALL}


def chosen(names: Sequence[str] = (), group: str | None = None) -> list[Row]:
    """Those rows, in the table's order.

    Raises:
        KeyError: there is no row of that name.
    """
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise KeyError(unknown[0])
    return [row for row in ALL if (not names or row.name in names) and group in (None, row.group)]
