"""Every way a phone line can end: once, with a reason, politely where it can be, and with nothing left open."""

import json
import socket
import struct

import pytest
import trio
import trio.testing

from engine.audio.pacer import Media
from engine.errors import LineLost
from engine.metrics import Metrics
from engine.sim.leaks import open_sockets
from engine.telephony.line import CLOSE_HANDSHAKE_S, FAULTS_TOLERATED, LARGEST_MESSAGE, SILENT_S, MediaLine
from engine.telephony.plane import MediaPlane
from tests.telephony.carrier import FRAME, Phone, Rig, end_of, open_line
from tests.telephony.parts import Ear, Mouth

Clock = trio.testing.MockClock


async def test_a_stop_is_a_hang_up_and_the_websocket_is_closed_politely(autojump_clock: Clock) -> None:
    before = open_sockets()
    async with open_line() as rig:
        await rig.started()
        rig.phone.stop()
        assert await end_of(rig.line) == "hang_up"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.line.aclose)
            await rig.until(lambda: bool(rig.phone.listen() or rig.phone.closes))
            assert rig.phone.closes == [(1000, "")]
            answered_at = trio.current_time()
            rig.phone.socket.send(bytes((0x88, 0x82, 0, 0, 0, 0)) + (1000).to_bytes(2, "big"))
        assert trio.current_time() - answered_at < 0.05
        assert rig.line.lost.reason == "hang_up"
        assert rig.plane.statistics().members == 0
    assert open_sockets() == before


async def test_a_close_without_a_stop_is_a_broken_line(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.phone.close(1001)
        assert await end_of(rig.line) == "broken"
        assert "1001" in rig.line.lost.detail
        rig.phone.listen()
        assert rig.phone.closes == [(1001, "")]
        began = trio.current_time()
        await rig.line.aclose()
        assert trio.current_time() == began


async def test_a_connection_that_just_ends_is_a_broken_line(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.phone.socket.close()
        assert await end_of(rig.line) == "broken"
        assert rig.plane.statistics().members == 0


async def test_a_reset_is_a_broken_line(autojump_clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    ours.setblocking(False)
    plane = MediaPlane()
    async with trio.open_nursery() as nursery:
        await nursery.start(plane.run)
        line = MediaLine(ours, plane=plane, metrics=Metrics())
        Phone(theirs).begin()
        await line.wait_start()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        assert await end_of(line) == "broken"
        await line.aclose()
        nursery.cancel_scope.cancel()


async def test_a_line_that_ends_before_its_start_tells_whoever_waits_for_it(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        rig.phone.socket.close()
        with pytest.raises(LineLost) as lost:
            await rig.line.wait_start()
        assert lost.value.reason == "broken"


async def test_a_peer_that_falls_silent_is_half_open(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        began = trio.current_time()
        await trio.sleep(SILENT_S - 1)
        rig.phone.ping(b"")  # anything at all is a sign of life
        assert await end_of(rig.line) == "silent"
        assert trio.current_time() - began == pytest.approx(2 * SILENT_S - 1, abs=0.05)


# --- a peer that speaks wrongly --------------------------------------------------------------------------------------


def speak_wrongly(rig: Rig, kind: str) -> None:
    """One message of that kind, after a start."""
    match kind:
        case "binary":
            rig.phone.binary(b"\0" * 160)
        case "malformed":
            rig.phone.text("{")
        case "bad_digit":
            rig.phone.key("x")
        case "bad_payload":
            rig.phone.media(0, b"")
        case "wrong_stream":
            rig.phone.say("media", streamSid="MZ2", media={"timestamp": "0", "chunk": "1", "payload": "AAAA"})
        case "second_start":
            rig.phone.begin()
        case "oversized":
            rig.phone.text(json.dumps({"event": "mark", "mark": {"name": "x" * 70_000}}))


KINDS = ["binary", "malformed", "bad_digit", "bad_payload", "wrong_stream", "second_start", "oversized"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stray_message_is_counted_and_survived(kind: str, autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        ear = Ear()
        rig.line.attach_inbound(ear)
        speak_wrongly(rig, kind)
        rig.phone.media(20)
        await rig.until(lambda: ear.frames == [(20, FRAME)])
        assert rig.faults(kind) == 1
        assert rig.line.statistics().faults >= 1


@pytest.mark.parametrize("kind", ["binary", "malformed"])
async def test_too_many_stray_messages_close_the_line_once(kind: str, autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        for _ in range(FAULTS_TOLERATED):
            speak_wrongly(rig, kind)
        await trio.sleep(0.1)
        rig.phone.listen()
        assert rig.phone.closes == []
        for _ in range(3):
            speak_wrongly(rig, kind)
        assert await end_of(rig.line) == "fault"
        await rig.line.aclose(1000)
        rig.phone.listen()
        assert rig.phone.closes == [(1008, "bad media stream")]
        assert rig.phone.raw.count(b"\x88") == 1  # RFC 6455: nothing follows a close frame


@pytest.mark.parametrize("first", ["{", '{"event":"media","streamSid":"MZ1"}', '{"event":"start","start":{}}'])
async def test_a_peer_that_begins_wrongly_is_closed(first: str, autojump_clock: Clock) -> None:
    async with open_line() as rig:
        rig.phone.text(first)
        with pytest.raises(LineLost) as lost:
            await rig.line.wait_start()
        assert lost.value.reason == "fault"
        rig.phone.listen()
        assert rig.phone.closes == [(1008, "bad media stream")]


async def test_a_message_that_no_memory_should_be_spent_on_closes_the_line(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        size = LARGEST_MESSAGE + 1
        rig.phone.socket.send(bytes((0x81, 0xFF)) + size.to_bytes(8, "big") + b"\0\0\0\0")
        assert await end_of(rig.line) == "fault"
        rig.phone.listen()
        assert [code for code, _ in rig.phone.closes] == [1009]


async def test_what_came_before_a_broken_frame_counts(autojump_clock: Clock) -> None:
    """A stop and garbage in one read: the caller hung up, whatever came after."""
    async with open_line() as rig:
        await rig.started()
        rig.phone.stop()
        rig.phone.socket.send(b"\x81\x01x")  # a frame that is not masked
        assert await end_of(rig.line) == "hang_up"
        rig.phone.listen()
        assert [code for code, _ in rig.phone.closes] == [1002]
        assert rig.faults("websocket") == 1


async def test_a_peer_that_reads_nothing_is_gone_when_the_backlog_is_full(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        mouth = Mouth()
        rig.line.attach_outbound(mouth)
        with trio.move_on_after(20) as patience:
            while rig.line.statistics().backlog_bytes < 200_000 and rig.plane.statistics().members:
                mouth.queue.append(Media(FRAME * 100))
                rig.line.send_due(trio.current_time())
                rig.phone.media(0)
                await trio.sleep(0.02)
            sent = rig.line.statistics().sent_bytes
            while rig.plane.statistics().members:
                mouth.queue.append(Media(FRAME * 100))
                await trio.sleep(0.02)
        assert not patience.cancelled_caught
        assert await end_of(rig.line) == "broken"
        assert rig.line.statistics().sent_bytes >= sent > 0


async def test_a_peer_that_reads_late_gets_all_of_it(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.phone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        mouth = Mouth()
        rig.line.attach_outbound(mouth)
        said = b""
        while not rig.line.statistics().backlog_bytes:
            frame = bytes([len(said) // 16_000 % 250]) * 16_000
            said += frame
            mouth.queue.append(Media(frame))
            rig.line.send_due(trio.current_time())
        await rig.until(lambda: len(rig.phone.sound()) == len(said))
        assert rig.phone.sound() == said
        assert rig.line.statistics().backlog_bytes == 0


# --- our own end -----------------------------------------------------------------------------------------------------


async def test_closing_waits_a_second_for_a_peer_that_does_not_answer(autojump_clock: Clock) -> None:
    before = open_sockets()
    async with open_line() as rig:
        await rig.started()
        began = trio.current_time()
        await rig.line.aclose(1001)
        assert trio.current_time() - began == pytest.approx(CLOSE_HANDSHAKE_S)
        rig.phone.listen()
        assert [code for code, _ in rig.phone.closes] == [1001]
        assert rig.plane.statistics().members == 0
        await rig.line.aclose()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            rig.line._controls_send.send_nowait(None)  # type: ignore[arg-type]
    assert open_sockets() == before


async def test_closing_is_polite_also_when_cancelled(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        began = trio.current_time()
        with trio.CancelScope() as scope:
            scope.cancel()
            await rig.line.aclose()
        assert trio.current_time() - began == pytest.approx(CLOSE_HANDSHAKE_S)
        rig.phone.listen()
        assert [code for code, _ in rig.phone.closes] == [1000]


async def test_a_line_lets_go_of_its_socket_though_the_plane_has_stopped(autojump_clock: Clock) -> None:
    before = open_sockets()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    plane = MediaPlane()
    with theirs:
        async with trio.open_nursery() as nursery:
            await nursery.start(plane.run)
            line = MediaLine(ours, plane=plane, metrics=Metrics())
            nursery.cancel_scope.cancel()
        await line.aclose()
    assert open_sockets() == before


async def test_code_of_ours_that_fails_ends_its_own_line_alone(autojump_clock: Clock) -> None:
    class Broken(Ear):
        def insert(self, timestamp_ms: int, payload: bytes, now: float) -> None:
            raise ZeroDivisionError("a bug")

    async with open_line() as other, open_line() as rig:
        await other.started()
        await rig.started()
        rig.line.attach_inbound(Broken())
        rig.phone.media(0)
        assert await end_of(rig.line) == "our_fault"
        assert "a bug" in rig.line.lost.detail
        assert rig.crashes == [None]
        ear = Ear()
        other.line.attach_inbound(ear)
        other.phone.media(0)
        await other.until(lambda: len(ear.frames) == 1)


async def test_the_first_reason_is_the_reason(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.line.end(LineLost("carrier", "call status busy"))
        rig.phone.socket.close()
        await trio.sleep(0.1)
        assert await end_of(rig.line) == "carrier"
