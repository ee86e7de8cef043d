"""The agent pauses as soon as the caller may be interrupting, for whoever wants that; and the model misses no word."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.messages import SpeechStarted
from tests.telephony.parts import SILENCE, loud
from tests.telephony.test_jitter import PREROLL_MS, Rig, gated


@contextmanager
def hushing() -> Iterator[Rig]:
    """The agent sounds, and whoever holds the floor wants it to pause."""
    with gated(keep_ms=1360) as rig:
        rig.agent_sounds = True
        rig.gate._hush = rig
        rig.gate.route_to(rig.uplink_send, may_pause=True)
        rig.hushed.clear()
        yield rig


async def test_the_agent_pauses_at_the_first_suspicion_and_goes_on_after_a_backchannel() -> None:
    with hushing() as rig:
        rig.hear(loud(0), loud(1))
        assert rig.hushed == []
        rig.hear(loud(2))
        assert rig.hushed == ["pause"]
        rig.hear(*[loud(n) for n in range(15)], *[SILENCE] * 7)
        assert rig.hushed == ["pause", "resume"]
        assert rig.events() == []


async def test_an_interruption_holds_the_agent_before_it_is_told() -> None:
    with hushing() as rig:
        rig.hear(*[loud(n) for n in range(24)])
        assert rig.hushed == ["pause", "hold"]
        assert [type(event) for event in rig.events()] == [SpeechStarted]


async def test_who_does_not_want_it_is_never_paused() -> None:
    with hushing() as rig:
        rig.gate.route_to(rig.uplink_send)
        rig.hushed.clear()
        rig.hear(*[loud(n) for n in range(30)])
        assert rig.hushed == []


async def test_a_floor_that_changes_hands_is_never_left_paused() -> None:
    with hushing() as rig:
        rig.hear(*[loud(n) for n in range(5)])
        rig.gate.route_to(None)
        assert rig.hushed == ["pause", "resume"]


async def test_the_model_hears_an_interruption_from_its_beginning() -> None:
    """The onset took 480 ms to be certain: the pre-roll reaches 200 ms farther back than that, this once."""
    with hushing() as rig:
        frames = [SILENCE] * 30 + [loud(n) for n in range(24)]
        rig.hear(*frames)
        rig.gate.open()
        assert rig.windows() == [b"".join(frames[20:])]
        rig.gate.close()
        rig.hear(*[SILENCE] * 40)
        rig.gate.open()
        assert [len(window) for window in rig.windows()] == [8 * PREROLL_MS]
