from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.wire import twiml

LANGUAGE = "en-US"


def connect(url: str = "wss://voice.example.com/twilio/media", **parameters: str) -> str:
    return twiml.connect_stream(
        stream_url=url,
        action_url="https://voice.example.com/twilio/recover?a=1&b=2",
        status_callback_url="https://voice.example.com/twilio/stream-status",
        parameters=parameters,
    )


def verbs(document: str) -> list[ET.Element]:
    root = ET.fromstring(document)
    assert root.tag == "Response"
    return list(root)


def test_connecting_names_the_stream_what_follows_it_and_its_parameters() -> None:
    (connecting,) = verbs(connect(token="a<b&c", attempt="1"))
    (stream,) = connecting
    assert (connecting.tag, connecting.attrib) == (
        "Connect",
        {"action": "https://voice.example.com/twilio/recover?a=1&b=2", "method": "POST"},
    )
    assert (stream.tag, stream.attrib) == (
        "Stream",
        {
            "url": "wss://voice.example.com/twilio/media",
            "statusCallback": "https://voice.example.com/twilio/stream-status",
            "statusCallbackMethod": "POST",
        },
    )
    assert [(child.tag, child.attrib) for child in stream] == [
        ("Parameter", {"name": "token", "value": "a<b&c"}),
        ("Parameter", {"name": "attempt", "value": "1"}),
    ]


def test_a_parameter_may_have_499_characters_and_no_more() -> None:
    assert "x" * 494 in connect(token="x" * 494)
    with pytest.raises(MisuseError):
        connect(token="x" * 495)


def test_a_parameter_that_xml_cannot_carry_is_misuse() -> None:
    with pytest.raises(MisuseError):
        connect(token="a\x00b")


@pytest.mark.parametrize(
    "url", ["https://a/x", "wss:///x", "wss://a/x?tenant=1", "wss://a/x#y", "wss://user:pass@a/x", "/twilio/media"]
)
def test_a_stream_url_that_the_carrier_refuses_is_misuse(url: str) -> None:
    with pytest.raises(MisuseError):
        connect(url)


def test_hanging_up_and_saying_nothing() -> None:
    assert [verb.tag for verb in verbs(twiml.hang_up())] == ["Hangup"]
    assert verbs(twiml.empty()) == []


def test_saying_one_thing_ends_the_call() -> None:
    said, ended = verbs(twiml.say_and_hang_up("We are closed & sorry <now>.", "de-DE"))
    assert (said.tag, said.text, said.attrib) == ("Say", "We are closed & sorry <now>.", {"language": "de-DE"})
    assert ended.tag == "Hangup"


def script(person: str | None) -> list[ET.Element]:
    return verbs(
        twiml.static_script(
            apology="Sorry.",
            language=LANGUAGE,
            person=person,
            dial_action_url="https://a/dial-done",
            recording_action_url="https://a/recording",
        )
    )


def test_the_static_script_puts_through_where_there_is_somebody() -> None:
    said, dialled = script("+15005550006")
    assert said.text == "Sorry."
    assert (dialled.tag, dialled.attrib) == (
        "Dial",
        {"action": "https://a/dial-done", "method": "POST", "timeout": "20"},
    )
    assert [(leg.tag, leg.text) for leg in dialled] == [("Number", "+15005550006")]


def test_the_static_script_records_where_there_is_nobody() -> None:
    said, recorded, ended = script(None)
    assert (said.tag, recorded.tag, ended.tag) == ("Say", "Record", "Hangup")
    assert recorded.attrib["action"] == "https://a/recording"
    assert recorded.attrib["playBeep"] == "true"


def test_dialling_asks_how_to_go_on() -> None:
    (dialled,) = verbs(twiml.dial(number="+15005550006", action_url="https://a/d", timeout_s=45))
    assert dialled.attrib == {"action": "https://a/d", "method": "POST", "timeout": "45"}


@pytest.mark.parametrize("timeout_s", [0, 4, 601])
def test_a_dial_timeout_that_the_carrier_refuses_is_misuse(timeout_s: int) -> None:
    with pytest.raises(MisuseError):
        twiml.dial(number="+15005550006", action_url="https://a/d", timeout_s=timeout_s)


def test_a_recording_has_a_prompt_an_end_and_an_action() -> None:
    said, recorded, ended = verbs(twiml.record_message("Speak.", LANGUAGE, "https://a/r", max_length_s=30))
    assert (said.text, ended.tag) == ("Speak.", "Hangup")
    assert recorded.attrib == {
        "action": "https://a/r", "method": "POST", "maxLength": "30", "timeout": "5", "playBeep": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        lambda text: twiml.say_and_hang_up(text, LANGUAGE),
        lambda text: twiml.record_message(text, LANGUAGE, "https://a/r"),
    ],
)
@given(text=st.text(max_size=60))
def test_any_text_gives_a_document_that_parses_and_never_an_empty_say(written: Callable[[str], str], text: str) -> None:
    for verb in verbs(written(text)):
        assert verb.tag != "Say" or (verb.text or "").strip()
