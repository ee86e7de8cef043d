"""Log lines: JSON with the call's names on them, at the level asked for."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from engine import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.configure("INFO", stream=stream)
    yield stream
    log.configure("CRITICAL")


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_line_is_json_with_its_room_level_and_instant(lines: io.StringIO) -> None:
    log.get_logger("call.floor").info("a word", calls=2)
    (line,) = read(lines)
    assert (line["event"], line["room"], line["level"], line["calls"]) == ("a word", "call.floor", "info", 2)
    assert line["timestamp"].endswith("Z")


def test_below_the_level_nothing_is_said(lines: io.StringIO) -> None:
    log.get_logger("call").debug("too fine")
    log.configure("error", stream=lines)
    log.get_logger("call").warning("still too fine")
    assert lines.getvalue() == ""


def test_traceback_stays_on_its_line(lines: io.StringIO) -> None:
    try:
        raise LookupError("a bug")
    except LookupError as error:
        log.get_logger("call").error("a call crashed", exc_info=error)
    (line,) = read(lines)
    assert "LookupError: a bug" in line["exception"]


async def test_call_s_names_are_on_its_own_lines_and_its_children_s_only(lines: io.StringIO) -> None:
    logger = log.get_logger("call")
    bound = trio.Event()

    async def child() -> None:
        logger.info("child")

    async def call() -> None:
        log.bind_call(call_sid="CA1", tenant_id="acme")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        bound.set()

    async with trio.open_nursery() as calls:
        calls.start_soon(call)
        await bound.wait()
        logger.info("worker")
    by_event = {line["event"]: line for line in read(lines)}
    assert (by_event["child"]["call_sid"], by_event["child"]["tenant_id"]) == ("CA1", "acme")
    assert "call_sid" not in by_event["worker"]


def test_libraries_speak_from_warnings_on(lines: io.StringIO) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble")
    assert "chatter" not in lines.getvalue()
    assert "trouble" in lines.getvalue()


def test_pretty_lines_are_for_people(lines: io.StringIO) -> None:
    log.configure("INFO", pretty=True, stream=lines)
    log.get_logger("call").info("a word")
    assert "a word" in lines.getvalue()
    assert not lines.getvalue().startswith("{")
    assert "\x1b[" not in lines.getvalue(), "colours are for terminals"


def test_what_a_library_says_is_a_line_of_the_same_form(lines: io.StringIO) -> None:
    try:
        raise LookupError("theirs")
    except LookupError:
        logging.getLogger("some.library").exception("trouble with %s", "it")
    (line,) = read(lines)
    assert (line["event"], line["room"], line["level"]) == ("trouble with it", "some.library", "error")
    assert "LookupError: theirs" in line["exception"]


@pytest.mark.parametrize(
    ("log_format", "terminal", "pretty"),
    [("auto", True, True), ("auto", False, False), ("json", True, False), ("console", False, True)],
)
def test_format_is_for_people_where_they_are_asked_for_or_look(
    log_format: str, terminal: bool, pretty: bool, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "isatty", lambda: terminal)
    assert log.for_people(log_format, lines) is pretty
