"""Every end of a call has a class and a reason."""

import re
from pathlib import Path

import pytest

import engine.errors
from engine.call.outcome import ON_PURPOSE, Outcome, OutcomeClass, Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_class(reason: Reason) -> None:
    outcome = Outcome.of(reason, "why")
    assert isinstance(outcome.outcome, OutcomeClass)
    assert (outcome.reason, outcome.detail) == (reason, "why")


def lost_reasons() -> set[str]:
    """Every reason that the engine's own code gives for a lost line."""
    found: set[str] = set()
    for path in Path(engine.errors.__file__).parent.rglob("*.py"):
        found |= set(re.findall(r'LineLost\(\s*"(\w+)"', path.read_text()))
    return found | set(re.findall(r"``(\w+)`` \(", engine.errors.LineLost.__doc__ or ""))


def test_every_reason_for_a_lost_line_is_a_reason_for_an_end() -> None:
    reasons = lost_reasons()
    assert {"hang_up", "broken", "silent", "fault", "our_fault"} <= reasons
    assert {str(Outcome.of_line(reason).reason) for reason in reasons} <= set(map(str, Reason))


@pytest.mark.parametrize(
    ("lost", "reason", "kind"),
    [
        ("hang_up", Reason.CALLER_HUNG_UP, OutcomeClass.SUCCESS),
        ("broken", Reason.LINE_BROKEN, OutcomeClass.CLIENT),
        ("silent", Reason.LINE_SILENT, OutcomeClass.CLIENT),
        ("fault", Reason.BAD_MEDIA, OutcomeClass.CLIENT),
        ("carrier", Reason.CARRIER_ENDED, OutcomeClass.INDETERMINATE),
        ("our_fault", Reason.CRASHED, OutcomeClass.SERVER),
    ],
)
def test_whose_doing_a_lost_line_was(lost: str, reason: Reason, kind: OutcomeClass) -> None:
    assert Outcome.of_line(lost) == Outcome(kind, reason)


def test_what_is_on_purpose_is_nobodys_fault_but_a_providers() -> None:
    assert {Outcome.of(reason).outcome for reason in ON_PURPOSE} == {OutcomeClass.SUCCESS, OutcomeClass.UPSTREAM}
