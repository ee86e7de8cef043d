import base64
import json
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.provider import HistoryItem, SessionSetup
from engine.model.setup import setup_fields
from engine.sim.brain import Said, ToolAnswer
from engine.sim.gemini_conduct import Conduct
from engine.sim.gemini_rules import (
    ActivityEnd,
    ActivityStart,
    AudioIn,
    AudioStreamEnd,
    ContentIn,
    ContextUpdate,
    Setup,
    TextIn,
    ToolAnswers,
    read_message,
)
from engine.sim.gemini_schema import Refusal
from engine.tenants.tenant import Tenant, ToolSpec

from .gemini_client import SETUP


def read(message: Any) -> Any:
    return read_message(orjson.dumps(message))


def setup(**more: Any) -> Any:
    return read({"setup": SETUP | more})


SOUND = base64.b64encode(bytes(640)).decode()


def test_our_own_opening_message_is_taken() -> None:
    tenant = Tenant(id="dentist", name="Dentist", greeting="Hello", tools=(ToolSpec(name="book", description="Books"),))
    history = (HistoryItem("agent", "Hello"),)
    seeded = read({"setup": setup_fields(SessionSetup(tenant, "CA1", None, history), "gemini-3.8-live")})
    assert seeded.manual
    assert seeded.seeds_history
    assert seeded.tools == ("book",)
    assert seeded.handle is None
    assert seeded.resumption
    resumed = read({"setup": setup_fields(SessionSetup(tenant, "CA1", "h-1"), "gemini-3.8-live")})
    assert resumed.handle == "h-1"
    assert not resumed.seeds_history


def test_both_casings_mean_the_same() -> None:
    snake = {
        "setup": {
            "model": "models/gemini-3.8-live",
            "realtime_input_config": {"automatic_activity_detection": {"disabled": True, "silence_duration_ms": 300}},
            "history_config": {"initial_history_in_client_content": True},
        }
    }
    message = read(snake)
    assert (message.manual, message.silence_ms, message.seeds_history) == (True, 300, True)
    assert message.raw["realtimeInputConfig"]["automaticActivityDetection"]["silenceDurationMs"] == 300


def test_null_is_absent_and_a_whole_number_may_be_a_string() -> None:
    message = setup(tools=None, sessionResumption={"handle": None}, contextWindowCompression={"triggerTokens": "20000"})
    assert message.tools == ()
    assert message.raw["contextWindowCompression"]["triggerTokens"] == 20000


@given(st.binary(min_size=2, max_size=400).filter(lambda data: len(data) % 2 == 0), st.booleans())
def test_audio_comes_in_either_alphabet(data: bytes, url_safe: bool) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    message = read({"realtimeInput": {"audio": {"data": encode(data).decode(), "mime_type": "audio/pcm;rate=8000"}}})
    assert isinstance(message, AudioIn)
    assert message.rate == 8000
    assert message.pcm.tobytes() == np.frombuffer(data, "<i2").tobytes()


def test_the_other_messages_are_understood() -> None:
    assert read({"realtimeInput": {"text": "notes"}}) == TextIn("notes")
    assert read({"realtime_input": {"activity_start": {}}}) == ActivityStart()
    assert read({"realtimeInput": {"audioStreamEnd": True}}) == AudioStreamEnd()
    turns = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}]
    said = (Said("user", "Hi"), Said("model", "Hello"))
    assert read({"clientContent": {"turns": turns, "turnComplete": True}}) == ContentIn(said, complete=True)
    answer = {"id": "c1", "name": "book", "response": {"status": "ok"}, "scheduling": "SILENT"}
    assert read({"toolResponse": {"functionResponses": [answer]}}) == ToolAnswers(
        (ToolAnswer("c1", "book", {"status": "ok"}, "SILENT"),)
    )
    update = {"systemInstruction": {"parts": [{"text": "New"}]}, "tools": {"tools": []}}
    assert read({"contextUpdate": update}) == ContextUpdate("New", ())


def _setup(**more: Any) -> dict[str, Any]:
    return {"setup": SETUP | more}


def _audio(data: str = SOUND, mime: str = "audio/pcm;rate=16000") -> dict[str, Any]:
    return {"realtimeInput": {"audio": {"data": data, "mimeType": mime}}}


def _answer(**fields: Any) -> dict[str, Any]:
    return {"toolResponse": {"functionResponses": [fields]}}


REFUSED: dict[str, Any] = {
    "a list": [],
    "no field": {},
    "unknown top-level field": {"hello": {}},
    "two top-level fields": {"realtimeInput": {"text": "a"}, "clientContent": {}},
    "a field in both casings": {
        "setup": {"model": "m", "tools": [], "systemInstruction": {}, "system_instruction": {}}
    },
    "unknown field in setup": _setup(affection=True),
    "unknown field deep in setup": _setup(realtimeInputConfig={"automaticActivityDetection": {"off": True}}),
    "empty tools": _setup(tools=[]),
    "no functions in a tool": _setup(tools=[{"functionDeclarations": []}]),
    "the same function twice": _setup(tools=[{"functionDeclarations": [{"name": "a"}, {"name": "a"}]}]),
    "text as modality": _setup(generationConfig={"responseModalities": ["TEXT"]}),
    "a thinking level": _setup(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}}),
    "affective dialog": _setup(generationConfig={"enableAffectiveDialog": True}),
    "proactivity": _setup(proactivity={"proactiveAudio": True}),
    "transparent resumption": _setup(sessionResumption={"transparent": True}),
    "an instruction that is a string": _setup(systemInstruction="Be kind"),
    "media chunks": {"realtimeInput": {"mediaChunks": [{"data": SOUND, "mimeType": "audio/pcm"}]}},
    "two fields of input": {"realtimeInput": {"text": "a", "activityEnd": {}}},
    "bad base64": _audio("@@@@"),
    "base64 of a bad length": _audio("AAA"),
    "half a sample": _audio(base64.b64encode(bytes(3)).decode()),
    "no audio": _audio(""),
    "mu-law": _audio(mime="audio/pcmu;rate=8000"),
    "audio without a type": {"realtimeInput": {"audio": {"data": SOUND}}},
    "a system turn": {"clientContent": {"turns": [{"role": "system", "parts": [{"text": "x"}]}]}},
    "an answer without id": _answer(name="book", response={}),
    "an answer that is no object": _answer(id="1", name="book", response="done"),
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED.keys())
def test_what_google_refuses_is_refused(message: Any) -> None:
    with pytest.raises(Refusal) as refused:
        read(message)
    assert refused.value.code == 1007


def test_what_is_no_json_is_refused() -> None:
    for raw in (b"hello", b'{"setup"', b"\xff\xfe", ""):
        with pytest.raises(Refusal, match="Invalid JSON"):
            read_message(raw)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(Refusal, match="not found") as refused:
        setup(model="models/gemini-9")
    assert refused.value.code == 1008


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["setup", "model", "realtimeInput", "audio", "data", "text", "clientContent", "turns", "parts"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_message_does_worse_than_a_refusal(message: Any) -> None:
    with suppress(Refusal):
        read_message(json.dumps(message))


def opened(**more: Any) -> Conduct:
    conduct = Conduct()
    conduct.admit(setup(**more))
    return conduct


def test_nothing_comes_before_setup_and_setup_comes_once() -> None:
    with pytest.raises(Refusal, match="first message"):
        Conduct().admit(read(_audio()))
    with pytest.raises(Refusal, match="sent once"):
        opened().admit(setup())


def test_activity_messages_must_alternate_and_need_manual_detection() -> None:
    conduct = opened()
    with pytest.raises(Refusal, match="no activity is open"):
        conduct.admit(ActivityEnd())
    conduct.admit(ActivityStart())
    with pytest.raises(Refusal, match="an activity is open"):
        conduct.admit(ActivityStart())
    conduct.admit(ActivityEnd())
    with pytest.raises(Refusal, match="not allowed with automatic"):
        opened(realtimeInputConfig={}).admit(ActivityStart())


def test_the_end_of_the_stream_belongs_to_automatic_detection() -> None:
    opened(realtimeInputConfig={}).admit(AudioStreamEnd())
    with pytest.raises(Refusal, match="audio_stream_end"):
        opened().admit(AudioStreamEnd())


def test_each_tool_call_is_answered_once_for_each_time_it_was_asked() -> None:
    conduct = opened()
    answer = ToolAnswers((ToolAnswer("c1", "book", {}),))
    with pytest.raises(Refusal, match="never asked"):
        opened().admit(answer)
    conduct.ask("c1")
    conduct.ask("c1")
    conduct.admit(answer)
    conduct.admit(answer)
    with pytest.raises(Refusal, match="answered before"):
        conduct.admit(answer)


def test_history_is_seeded_until_the_turn_is_complete() -> None:
    conduct = opened(historyConfig={"initialHistoryInClientContent": True})
    assert conduct.seeding
    conduct.admit(ContentIn((Said("user", "a"),), complete=False))
    assert conduct.seeding
    conduct.admit(ContentIn((Said("user", "a"),), complete=True))
    assert not conduct.seeding


def test_only_newer_models_take_a_context_update() -> None:
    opened().admit(ContextUpdate("x", None))
    with pytest.raises(Refusal, match="context_update"):
        opened(model="models/gemini-3.1-flash-live-preview").admit(ContextUpdate("x", None))


def test_a_setup_says_what_was_asked_for() -> None:
    plain = read({"setup": {"model": "models/gemini-3.8-live"}})
    assert isinstance(plain, Setup)
    assert (plain.manual, plain.interrupts, plain.resumption, plain.transcribes_input) == (False, True, False, False)
    quiet = setup(realtimeInputConfig={"activityHandling": "NO_INTERRUPTION"})
    assert not quiet.interrupts
