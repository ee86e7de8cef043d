"""The turn table's data is the table that its module shows to the reader, and nothing else."""

import re

import pytest

from engine.call import turn
from engine.call.turn import FLOOR, Cue, Do, Phase, TurnTable
from engine.messages import Floor

WORDS = {
    "open the turn": Do.OPEN_TURN,
    "ask for notes": Do.ASK_NOTES,
    "cut": Do.CUT,
    "cut it": Do.CUT,
    "keep the turn open": Do.KEEP_OPEN,
    "commit": Do.COMMIT,
    "commit without": Do.COMMIT_WITHOUT,
    "nudge": Do.NUDGE,
}
Row = tuple[tuple[Phase, Cue], tuple[Phase, tuple[Do, ...]]]


def documented_rows() -> list[Row]:
    assert turn.__doc__ is not None
    text = turn.__doc__.partition("changes nothing):")[2].partition("``SPOKE_FIRST``")[0]
    rows: list[Row] = []
    phase = Phase.QUIET
    for line in text.strip("\n").splitlines():
        match = re.fullmatch(r" {4}(\w*) +(\w+) +-> (\w+) *(.*)", line)
        if match is None:
            assert not line.strip(), f"not a row: {line}"
            continue
        phase = Phase[match[1]] if match[1] else phase
        to_do = tuple(WORDS[word.strip()] for word in match[4].split(",") if word.strip())
        rows.append(((phase, Cue[match[2]]), (Phase[match[3]], to_do)))
    return rows


def test_the_table_in_the_docstring_is_the_data() -> None:
    rows = documented_rows()
    assert len(rows) == len(dict(rows))
    assert dict(rows) == turn._TABLE


def test_the_floors_in_the_docstring_are_the_data() -> None:
    assert turn.__doc__ is not None
    said = re.findall(r"^ {4}(\w+) .+ floor: (\w+)$", turn.__doc__, re.MULTILINE)
    assert {Phase[phase]: Floor(floor) for phase, floor in said} == FLOOR


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("cue", Cue)
def test_a_pair_that_is_not_listed_changes_nothing(phase: Phase, cue: Cue) -> None:
    table = TurnTable()
    table.phase = phase
    to_do = table.advance(cue)
    if (phase, cue) not in turn._TABLE:
        assert (table.phase, to_do) == (phase, ())
