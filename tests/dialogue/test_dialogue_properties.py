"""Whatever is said, found and answered: no surprise, no long speech, nothing done that was not agreed to."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.dialogue.acts import Act, CallTool, Say
from engine.dialogue.dialogue import Dialogue
from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.replies import is_yes
from engine.dialogue.spoken import LONGEST_ANSWER, LONGEST_SAID
from engine.messages import Effect, Passage
from engine.tenants import examples
from engine.tenants.schema import violations
from engine.tenants.tenant import ToolSpec
from tests.dialogue.conversation import CALLER

ODD = ToolSpec(
    name="rent_equipment",
    description="Rents out equipment.",
    effect=Effect.WRITES,
    parameters={
        "type": "object",
        "properties": {
            "pickup_date": {"type": "string", "pattern": r"^[a-z]+ \d+$"},
            "pieces": {"type": "integer", "minimum": 1, "maximum": 5},
            "size": {"type": "string", "enum": ["small", "large"]},
            "insured": {"type": "boolean"},
            "email": {"type": "string", "maxLength": 40},
            "remarks": {"type": "string", "maxLength": 2000},
        },
        "required": ["pickup_date", "pieces", "size", "insured", "email", "remarks"],
    },
)
_VOCABULARY = (
    "yes no okay cancel book an appointment message for tomorrow tuesday at ten half past two march 3 my name is Robin "
    "Lee four one five double two six seven 415 555 2671 how much is that and where do I park manager talk to somebody "
    "rent equipment small large robin at example dot com never mind bye thanks what sorry wait open on saturday change "
    "the time it's not right call me back please table 5 people"
)
WORDS = _VOCABULARY.split()
SENTENCES = (
    "", "yes", "yes that's right", "no", "no, Tuesday", "I'd like to book an appointment", "can I leave a message",
    "I want to rent equipment", "book me a cleaning next Monday at ten", "half past two", "Robin Lee", "tomorrow",
    "my name is Robin Lee", "415 555 2671", "march 3", "three", "large", "robin at example dot com", "never mind",
    "how much is that", "are you open on saturday and where do I park", "can I talk to the manager", "talk to a human",
    "please call me back", "the faucet drips", "what", "bye", "no the name is wrong", "what times are free on friday",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(SENTENCES), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), st.text(max_size=60)
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["ok", "refused", "error", "odd", None]),
        "message": st.one_of(
            st.sampled_from([
                "Free on Tuesday: 8 a.m., 9 a.m..", "That time is taken. Still free: 9 a.m.", "That day is past.",
                "Ask for a number to call back.", "Say: I will have someone call you back.", "",
            ]),
            st.text(max_size=1000),
            st.none(),
            st.integers(),
        ),
        "retryable": st.booleans(),
        "open_now": st.one_of(st.booleans(), st.none()),
        "date": st.one_of(st.just("2026-11-24"), st.text(max_size=10), st.none()),
        "free": st.one_of(st.just([]), st.just(["08:00"]), st.none(), st.text(max_size=3)),
    },
)  # fmt: skip
WISHES = (
    "book me a cleaning on Tuesday at ten, my name is Robin Lee",
    "book me an appointment for a check up tomorrow at half past two, this is Robin Lee, my number is 415 555 2671",
    "please tell the manager that I'm late, my name is Robin Lee, call me at 415 555 2671",
    "can I talk to the manager",
)
CONTROL = {"transfer_call", "end_call"}


class AnyConversation(RuleBasedStateMachine):
    """A caller who says anything, a search that finds anything, tools that answer anything, in any order."""

    @initialize(
        name=st.sampled_from(examples.names()),
        caller=st.sampled_from(["", CALLER]),
        history=st.lists(st.tuples(st.sampled_from(["caller", "agent"]), TEXTS), max_size=6),
    )
    def begin(self, name: str, caller: str, history: list[tuple[str, str]]) -> None:
        tenant = examples.load(name)
        self.tenant = tenant.model_copy(update={"tools": (*tenant.tools, ODD)})
        self.tools = {tool.name: tool for tool in self.tenant.tools}
        self.dialogue = Dialogue(self.tenant, caller=caller, history=history)
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.read_back = ""
        self.offered = ""

    @rule(text=TEXTS, found=st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), max_size=3))
    def hear(self, text: str, found: list[tuple[int, float]]) -> None:
        notes = [self.tenant.knowledge[index] for index, _ in found]
        passages = [
            Passage(self.tenant.id, note.source, note.text, score)
            for note, (_, score) in zip(notes, found, strict=True)
        ]
        self._check(self.dialogue.hear(text, passages), text)

    @rule(text=st.sampled_from(WISHES))
    def wish(self, text: str) -> None:
        self._check(self.dialogue.hear(text, []), text)

    @rule(times=st.integers(1, 2))
    def agree(self, times: int) -> None:
        for _ in range(times):
            self._check(self.dialogue.hear("yes", []), "yes")

    @rule(text=TEXTS, body=st.text(max_size=500))
    def hear_with_an_odd_passage(self, text: str, body: str) -> None:
        self._check(self.dialogue.hear(text, [Passage(self.tenant.id, "A file: A heading", body, 0.5)]), text)

    @rule(response=RESPONSES, place=st.integers(0, 5))
    def answer_a_tool(self, response: dict[str, Any], place: int) -> None:
        call_id = self.open.pop(place % len(self.open)) if self.open else "no such call"
        acts = self.dialogue.tool_result(call_id, response)
        self._check(acts, None)
        assert self.dialogue.tool_result(call_id, response) == ()

    @rule(share=st.floats(0, 1))
    def cut(self, share: float) -> None:
        self.dialogue.cut("x" * int(share * 100))

    @rule(text=st.text(max_size=40))
    def be_told(self, text: str) -> None:
        assert "".join(act.text for act in self.dialogue.told_to_say(text) if isinstance(act, Say)) == text

    @invariant()
    def never_two_wishes_at_once(self) -> None:
        assert len(self.open) == len(set(self.open))

    def _check(self, acts: tuple[Act, ...], heard: str | None) -> None:
        words = [act.text for act in acts if isinstance(act, Say)]
        assert all(text and len(text) <= LONGEST_SAID for text in words)
        assert sum(map(len, words)) <= LONGEST_SAID + LONGEST_ANSWER
        assert len(acts) <= 3
        for act in acts:
            if isinstance(act, CallTool):
                self._check_call(act, heard)
        said = " ".join(words)
        if words:
            self.offered = said
        if "So that's " in said or "Let me read that back: " in said:
            self.read_back = said

    def _check_call(self, call: CallTool, heard: str | None) -> None:
        assert call.call_id not in self.ids
        self.ids.add(call.call_id)
        self.open.append(call.call_id)
        spec = self.tools[call.name]
        assert list(violations(spec.parameters, call.arguments)) == []
        if spec.effect is Effect.READS:
            return
        assert heard is not None, "a tool's answer has nothing written"
        if call.name == "transfer_call":
            asked = "put you through" in self.offered or intent_of(heard) is Intent.PERSON
            assert asked
        elif call.name not in CONTROL:
            assert is_yes(heard)
            assert self.read_back, "nothing is written that was not read back"
            self.read_back = ""


TestAnyConversation = AnyConversation.TestCase
TestAnyConversation.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
