"""The README says of each model what its provider says of itself."""

from dataclasses import fields
from pathlib import Path

import bench
from bench.capabilities import MODELS, ROWS, table
from engine.model.provider import Capabilities

README = Path(bench.__file__).parent.parent / "README.md"


def test_every_capability_has_a_row_and_every_model_a_column() -> None:
    assert set(ROWS) == {field.name for field in fields(Capabilities)}
    head, _, *rows = table().splitlines()
    assert len(rows) == len(ROWS)
    assert all(name in head for name in MODELS)


def test_what_a_model_lacks_is_made_up_for() -> None:
    for row in table().splitlines()[2:]:
        *_, instead = (cell.strip() for cell in row.strip("|").split("|"))
        assert ("| no |" in row) <= bool(instead)


def test_the_readme_holds_the_table() -> None:
    assert table() in README.read_text("utf-8"), "print it with python -m bench.capabilities"
