"""Whatever a client sends, in whatever order: the simulator does not fall over, and what it says is always in form."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from engine.audio import g711
from engine.sim import moods
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.moods import Rule
from engine.sim.openai import SimOpenAI
from engine.sim.openai_config import Detection
from engine.sim.openai_hearing import InputBuffer, SpeechStarted, SpeechStopped
from engine.sim.openai_rules import parse, read_event
from engine.sim.openai_schema import Refused
from engine.sim.tones import ToneVoice, tone_clip

from .openai_client import BOOK, NOTES, SETUP, Client, dial

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SPEECH = {index: g711.encode(tone_clip(index, 240)) for index in (17, 99)}
HUSH = b"\xff" * 8 * 320
DETECTIONS = [
    None,
    {"type": "server_vad", "silence_duration_ms": 200},
    {"type": "server_vad", "silence_duration_ms": 300, "create_response": False},
    {"type": "semantic_vad", "eagerness": "high", "interrupt_response": False},
]

Json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9999)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# Ids are drawn from few, and some stand for what the server named last: so they meet.
Ids = st.sampled_from(["a", "b", "root", "LAST_ITEM", "LAST_ANSWER"])
CallIds = st.sampled_from(["mine", "LAST_CALL"])
Texts = st.sampled_from(["", NOTES, 'Say "Yes."', "Hello."])


def event(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional={"event_id": st.text(max_size=4)})


def message(role: str, part: str) -> st.SearchStrategy[dict[str, Any]]:
    content = st.lists(st.fixed_dictionaries({"type": st.just(part), "text": Texts}), max_size=2)
    return st.fixed_dictionaries(
        {"type": st.just("message"), "role": st.just(role), "content": content},
        optional={"id": st.sampled_from(["a", "b"])},
    )


Items = st.one_of(
    message("system", "input_text"),
    message("user", "input_text"),
    message("assistant", "output_text"),
    st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": CallIds, "output": Texts}),
    st.fixed_dictionaries(
        {"type": st.just("function_call"), "call_id": CallIds, "name": st.just("book"), "arguments": st.just("{}")}
    ),
)
Responses = st.fixed_dictionaries(
    {},
    optional={
        "instructions": Texts,
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "conversation": st.sampled_from(["auto", "none"]),
        "input": st.lists(Items | st.fixed_dictionaries({"type": st.just("item_reference"), "id": Ids}), max_size=2),
        "max_output_tokens": st.integers(1, 60),
        "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "name": "book"}]),
    },
)
Sessions = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "instructions": Texts,
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "tools": st.sampled_from([[], [BOOK]]),
        "audio": st.fixed_dictionaries(
            {
                "input": st.fixed_dictionaries({"turn_detection": st.sampled_from(DETECTIONS)}),
                "output": st.fixed_dictionaries({"voice": st.sampled_from(["cedar", "marin"])}),
            }
        ),
    },
)
Sounds = st.sampled_from([base64.b64encode(sound).decode() for sound in (*SPEECH.values(), HUSH, HUSH, HUSH)])
Right = st.one_of(
    event("input_audio_buffer.append", audio=Sounds),
    event("input_audio_buffer.append", audio=Sounds),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("conversation.item.create", item=Items, previous_item_id=st.none() | Ids),
    event("conversation.item.create", item=Items),
    event("conversation.item.retrieve", item_id=Ids),
    event("conversation.item.delete", item_id=Ids),
    event(
        "conversation.item.truncate", item_id=Ids, content_index=st.integers(0, 1), audio_end_ms=st.integers(0, 2000)
    ),
    event("response.create", response=Responses),
    event("response.create"),
    event("response.cancel"),
    event("session.update", session=Sessions),
)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """An event in which something is missing, of another type, or too much."""
    whole: dict[str, Any] = draw(Right)
    place = whole
    while inner := [value for value in place.values() if isinstance(value, dict)]:
        if not draw(st.booleans()):
            break
        place = inner[0]
    name = draw(st.sampled_from([*place, "surprise"]))
    if name in place and draw(st.booleans()):
        del place[name]
    else:
        place[name] = draw(Json)
    return whole


@dataclass(frozen=True)
class Pause:
    seconds: float


Pauses = st.builds(Pause, st.floats(0.01, 1.5))
Steps = st.lists(st.one_of(Right, Right, Right, spoilt(), Json, Pauses), min_size=1, max_size=14)


class Watching(Client):
    """Knows what the server named last, and reads in the background."""

    async def watch(self) -> None:
        try:
            while True:
                await self.get()
        except ConnectionClosed:
            pass

    def named(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.named(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.named(item) for item in value]
        items = [event["item"] for event in self.got if event["type"] == "conversation.item.added"]
        answers = [item for item in items if item.get("role") == "assistant"]
        calls = [item["call_id"] for item in items if item["type"] == "function_call"]
        last = {
            "LAST_ITEM": items[-1]["id"] if items else "none",
            "LAST_ANSWER": answers[-1]["id"] if answers else "none",
            "LAST_CALL": calls[-1] if calls else "none",
        }
        return last.get(value, value) if isinstance(value, str) else value


def play(sim: SimOpenAI, steps: list[Any], *, ends: bool) -> list[dict[str, Any]]:
    """Send all this under virtual time: what came back. ``ends``: until nothing is under way any more."""

    async def main() -> list[dict[str, Any]]:
        async with dial(sim) as plain, trio.open_nursery() as nursery:
            client = Watching(plain.websocket)
            nursery.start_soon(client.watch)
            await client.send("session.update", session=SETUP)
            for step in steps:
                if isinstance(step, Pause):
                    await trio.sleep(step.seconds)
                elif isinstance(step, dict) and isinstance(step.get("type"), str):
                    body = client.named(step)
                    await client.send(body.pop("type"), **body)
                else:
                    await client.websocket.send_message(orjson.dumps(step).decode())
            await trio.sleep(60 if ends else 1)
            await client.websocket.aclose()
        return client.got

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def simulator(*rules: Rule) -> SimOpenAI:
    brain = GroundedBrain({"tone 99": ToolWish("book", {"day": "tomorrow", "reason": "x" * 40})})
    return SimOpenAI(ear=ToneEar(), brain=brain, voice=ToneVoice(200), rules=rules)


@QUICK
@given(Steps)
def test_any_events_are_answered_in_form_and_in_order(steps: list[Any]) -> None:
    sim = simulator()
    got = play(sim, steps, ends=True)
    assert got[0]["type"] == "session.created"
    assert len({event["event_id"] for event in got}) == len(got), "every event has an id of its own"
    running: dict[str, bool] = {}  # response -> whether it is the conversation's
    known: set[str] = set()
    for event in got:
        kind = event["type"]
        if kind == "response.created":
            ours = event["response"]["conversation_id"] is not None
            assert not (ours and any(running.values())), "two responses in one conversation"
            running[event["response"]["id"]] = ours
        elif kind == "response.done":
            running.pop(event["response"]["id"])
        elif kind.startswith("response."):
            assert event["response_id"] in running, f"{kind} outside its response"
        if kind == "response.output_item.added":
            known.add(event["item"]["id"])
        elif "item_id" in event and kind.startswith("response."):
            assert event["item_id"] in known, f"{kind} of an item that was not added"
    assert running == {}, "every response ends"
    record = sim.sessions[0]
    assert len(record.responses) == sum(event["type"] == "response.created" for event in got)
    assert len(sim.protocol_faults) <= sum(event["type"] == "error" for event in got)


MOODS: list[moods.Mood] = [
    moods.Unanswered(),
    moods.Stalls(after_ms=200),
    moods.PhantomMidway(after_ms=200),
    moods.PhantomMidway(after_ms=200, ends_turn=False),
    moods.PhantomInterrupted(),
    moods.UnknownTool(),
    moods.InvalidArguments(),
    moods.DoubleToolCall("new_id", after_s=0.5),
    moods.DoubleToolCall("same_id"),
    moods.DoubleToolCall("part"),
    moods.LosesToolResult(),
    moods.TextOnly("part"),
    moods.Untranscribed(),
    moods.Slow(1.0),
    moods.Silent(turns=1),
    moods.Cut(1011, after_ms=200),
    moods.Cut(1006, after_ms=0),
    moods.GoAway(time_left_s=0.5, quiet=True),
    moods.Runaway(20.0),
]


@QUICK
@given(Steps, st.lists(st.sampled_from(MOODS), max_size=3))
def test_a_bad_mood_does_not_make_it_fall_over(steps: list[Any], bad: list[moods.Mood]) -> None:
    sim = simulator(*(Rule(mood) for mood in bad))
    try:
        play(sim, steps, ends=False)
    except* ConnectionClosed:
        pass  # some moods end the connection in the middle of what is being sent
    assert sim.sessions[0].closed_code is not None


@QUICK
@given(Json | Right | spoilt())
def test_any_event_is_read_or_refused(body: Any) -> None:
    try:
        parsed = parse(orjson.dumps(body).decode())
        assert read_event(parsed).type == parsed["type"]
    except Refused:
        pass


@QUICK
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=8),
    st.lists(st.integers(40, 900), min_size=1, max_size=5),
    st.integers(0, 600),
    st.integers(0, 600),
)
def test_speech_is_found_however_the_audio_is_cut(
    parts: list[tuple[bool, int]], cuts: list[int], prefix_ms: int, silence_ms: int
) -> None:
    """Stretches never overlap, their audio is as long as they say, and chunking makes no difference."""
    pcm = np.concatenate(
        [np.zeros(0, np.int16), *(np.full(320 * frames, 5000 * loud, np.int16) for loud, frames in parts)]
    )
    detection = Detection(prefix_ms=prefix_ms, silence_ms=silence_ms)
    whole = list(InputBuffer().feed(pcm, detection))
    pieces, buffer, at = [], InputBuffer(), 0
    while at < len(pcm):
        size = cuts[at % len(cuts)]
        pieces += list(buffer.feed(pcm[at : at + size], detection))
        at += size
    marks = [
        [one.at_ms for one in changes if isinstance(one, SpeechStarted | SpeechStopped)] for changes in (whole, pieces)
    ]
    assert marks[0] == marks[1]
    assert marks[0] == sorted(marks[0])
    started = 0
    for change in whole:
        if isinstance(change, SpeechStarted):
            started = change.at_ms
        elif isinstance(change, SpeechStopped):
            assert len(change.pcm) == (change.at_ms - started) * 16
