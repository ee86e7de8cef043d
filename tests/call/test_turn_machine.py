"""The turn table against a model of its own: facts about who speaks and what is owed, under any order of cues."""

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.call.turn import Cue, Do, Phase, TurnTable
from engine.messages import Floor

COMMITS = {Do.COMMIT, Do.COMMIT_WITHOUT}


class TurnMachine(RuleBasedStateMachine):
    """What is known: is a turn open, were notes asked for it, does the agent owe a sound, is it to be heard?"""

    def __init__(self) -> None:
        super().__init__()
        self.table = TurnTable()
        self.turn_open = self.asked = self.owed = self.sounding = False
        self.done: list[Do] = []

    def give(self, cue: Cue, *expected: Do) -> None:
        to_do = self.table.advance(cue)
        assert to_do == expected
        self.done += to_do

    @rule()
    def caller_starts(self) -> None:
        if not self.turn_open:
            silence_first = [Do.CUT] if self.owed or self.sounding else []
            self.give(Cue.CALLER_STARTED, *silence_first, Do.OPEN_TURN)
            self.turn_open, self.owed, self.sounding = True, False, False
        elif self.asked:
            self.give(Cue.CALLER_STARTED, Do.KEEP_OPEN)
            self.asked = False
        else:
            self.give(Cue.CALLER_STARTED)

    @rule()
    def caller_ends(self) -> None:
        if self.turn_open and not self.asked:
            self.give(Cue.CALLER_ENDED, Do.ASK_NOTES)
            self.asked = True
        else:
            self.give(Cue.CALLER_ENDED)

    @rule()
    def notes_come(self) -> None:
        self.commit_by(Cue.NOTES_READY, Do.COMMIT)

    @rule()
    def budget_ends(self) -> None:
        self.commit_by(Cue.BUDGET_SPENT, Do.COMMIT_WITHOUT)

    def commit_by(self, cue: Cue, commit: Do) -> None:
        if self.asked:
            self.give(cue, commit)
            self.turn_open, self.asked, self.owed = False, False, True
        else:
            self.give(cue)

    @rule()
    def response_starts(self) -> None:
        if self.turn_open:
            self.give(Cue.RESPONSE_STARTED, Do.CUT)
        else:
            self.give(Cue.RESPONSE_STARTED)
            self.owed, self.sounding = False, True

    @rule()
    def response_was_empty(self) -> None:
        self.give(Cue.RESPONSE_EMPTY, *([Do.NUDGE] if self.owed else []))

    @rule()
    def all_is_heard(self) -> None:
        self.give(Cue.ALL_HEARD)
        self.sounding = False

    @rule()
    def agent_is_asked_to_speak(self) -> None:
        self.give(Cue.SPOKE_FIRST)
        if not (self.turn_open or self.sounding):
            self.owed = True

    @invariant()
    def the_floor_is_never_with_both(self) -> None:
        agent = self.owed or self.sounding
        assert not (self.turn_open and agent)
        floor = Floor.CALLER if self.turn_open else Floor.AGENT if agent else Floor.NOBODY
        assert self.table.floor is floor
        assert (self.table.phase is Phase.QUIET) == (floor is Floor.NOBODY)

    @invariant()
    def a_turn_is_opened_asked_for_and_committed_once(self) -> None:
        """The order of what had to be done, judged on its own."""
        opened = asked = False
        for do in self.done:
            if do is Do.OPEN_TURN:
                assert not opened
                opened, asked = True, False
            elif do is Do.ASK_NOTES:
                assert opened
                assert not asked
                asked = True
            elif do is Do.KEEP_OPEN:
                assert asked
                asked = False
            elif do in COMMITS:
                assert opened
                assert asked
                opened = asked = False


TurnMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestTurnMachine = TurnMachine.TestCase
