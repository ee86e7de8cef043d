"""What is kept of a turn while an answer to it is owed, and in which ways it is asked for."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.messages import Asked, CallerAudio, CommitTurn, Notes, NothingFound, Passage, Skipped, Speak, ToolResult
from engine.model.replay import KEPT_S, Again, AskInWriting, AskWithAudio, OwedTurn

WINDOW = CallerAudio(bytes(800))
KEPT_BYTES = int(KEPT_S * 8000)


def tries(owed: OwedTurn) -> list[Again]:
    found = []
    while (one := owed.next_try()) is not None:
        found.append(one)
    return found


def asked(windows: int, commit: CommitTurn) -> OwedTurn:
    owed = OwedTurn()
    owed.opened(commit.turn_id)
    for _ in range(windows):
        owed.window(WINDOW)
    owed.committed(commit)
    return owed


def test_a_turn_is_asked_for_with_its_sound_and_then_in_writing_with_its_notes() -> None:
    notes = Notes(3, 'what does "it" cost?', (Passage("acme", "prices.md", "It costs 80.", 0.9),), 1.0)
    commit = CommitTurn(Asked(3), notes)
    first, second = tries(asked(5, commit))
    assert first == AskWithAudio((WINDOW,) * 5, commit)
    assert isinstance(second, AskInWriting)
    assert second.how == "words"
    assert second.speak.turn_id == 3
    told, *rest = second.speak.instruction.splitlines()
    assert told == "The caller said: \"what does 'it' cost?\". You have not answered yet: answer the caller now."
    assert "It costs 80." in rest


def test_only_the_last_of_a_long_turn_is_kept() -> None:
    owed = asked(500, CommitTurn(Asked(1), Skipped(1, "no text")))
    assert owed.kept_bytes == KEPT_BYTES
    (only,) = tries(owed)
    assert isinstance(only, AskWithAudio)
    assert len(only.windows) == 150


def test_words_that_only_the_provider_understood_serve_too() -> None:
    owed = asked(0, CommitTurn(Asked(1), Skipped(1, "no text")))
    owed.understood("are you open")
    (only,) = tries(owed)
    assert isinstance(only, AskInWriting)
    assert '"are you open"' in only.speak.instruction


def test_a_turn_of_which_nothing_is_known_is_not_asked_for_again() -> None:
    assert tries(asked(0, CommitTurn(Asked(1), Skipped(1, "no text")))) == []


def test_an_instruction_is_given_once_more() -> None:
    owed = OwedTurn()
    owed.spoke(Speak(0, "Greet."))
    assert tries(owed) == [AskInWriting(Speak(0, "Greet."), "instruction")]


def test_results_are_told_in_writing() -> None:
    owed = asked(5, CommitTurn(Asked(1), NothingFound(1, "book me", 1.0)))
    owed.paid()  # by the calls
    owed.told(ToolResult("a", "book", {"status": "ok"}))
    owed.told(ToolResult("b", "look_up", {"message": "free"}))
    (only,) = tries(owed)
    assert isinstance(only, AskInWriting)
    assert only.how == "result"
    assert only.speak.instruction.splitlines()[:2] == [
        '[result of the tool book] {"status": "ok"}',
        '[result of the tool look_up] {"message": "free"}',
    ]


def test_the_rest_of_an_answer_is_asked_for_once_in_each_turn() -> None:
    owed = asked(5, CommitTurn(Asked(1), NothingFound(1, "book me", 1.0)))
    owed.paid()
    owed.broken_off()
    assert [one.how for one in tries(owed) if isinstance(one, AskInWriting)] == ["rest"]
    owed.broken_off()
    assert tries(owed) == []
    owed.opened(2)
    owed.broken_off()
    assert len(tries(owed)) == 1


class Keeping(RuleBasedStateMachine):
    """Whatever happens: bounded, forgotten once paid, and never another turn's."""

    def __init__(self) -> None:
        super().__init__()
        self.owed = OwedTurn()
        self.turn = 0
        self.open = self.waiting = False

    @rule()
    def opened(self) -> None:
        self.turn += 1
        self.owed.opened(self.turn)
        self.open, self.waiting = True, False

    @precondition(lambda self: self.open)
    @rule(size=st.integers(1, 20_000), times=st.integers(1, 20))
    def said(self, size: int, times: int) -> None:
        for _ in range(times):
            self.owed.window(CallerAudio(bytes(size)))

    @precondition(lambda self: self.open)
    @rule()
    def committed(self) -> None:
        self.owed.committed(CommitTurn(Asked(self.turn), NothingFound(self.turn, "why", 1.0)))
        self.open, self.waiting = False, True

    @precondition(lambda self: self.waiting)
    @rule()
    def asked_again(self) -> None:
        again = self.owed.next_try()
        if isinstance(again, AskWithAudio):
            assert again.commit.turn_id == self.turn
            assert sum(len(window.mulaw) for window in again.windows) == self.owed.kept_bytes > 0
        elif again is not None:
            assert again.speak.turn_id == self.turn

    @precondition(lambda self: not self.open)
    @rule()
    def paid(self) -> None:
        self.owed.paid()
        self.waiting = False
        assert self.owed.next_try() is None

    @invariant()
    def bounded(self) -> None:
        assert self.owed.kept_bytes <= KEPT_BYTES
        assert self.open or self.waiting or self.owed.kept_bytes == 0


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=30, stateful_step_count=25)
