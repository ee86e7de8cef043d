"""The actor of a model session: uplink messages to the stream, the stream's events to the call, and a watchdog."""

from collections.abc import Callable

import trio

from engine.errors import ModelLost
from engine.messages import FloorEvent, PlayoutCommand, Uplink
from engine.model.liveness import Liveness
from engine.model.losses import most_telling
from engine.model.provider import ModelStream
from engine.model.session_tasks import SessionTasks
from engine.model.voice import Voice
from engine.shortcut import SendEnd, ShortEnd, shortened


async def run_session(
    *,
    stream: ModelStream,
    uplink: trio.MemoryReceiveChannel[Uplink],
    end: ShortEnd[Uplink] | None = None,
    inbox: trio.MemorySendChannel[FloorEvent],
    playout: SendEnd[PlayoutCommand],
    next_generation: Callable[[], int],
    liveness: Liveness,
    on_slow: Callable[[], None] | None,
) -> None:
    """Run one session over an open stream until the uplink is closed, the call's readers are gone, or it is lost.

    Closes its three channel ends, not the stream.

    Args:
        stream: as ``ModelProvider.open_stream`` hands it out.
        uplink: turn commands and windows, in order.
        end: of the same channel, whose way is shortened while the session runs.
        inbox: gets what the model says and does. Waits while full.
        playout: gets the model's sound. Waits while full.
        next_generation: numbers the call's utterances.
        liveness: judges this session; used by nobody else.
        on_slow: called when the caller has waited long for an answer or for more of it, and every ``COMPANY_EVERY_S``
            again; must not block. What is said then may take a new generation: none is left open.

    Raises:
        ModelLost: always one plain exception, though several tasks may fail at once: the one that tells most.
        MisuseError: a turn was opened or committed against the rules (in an exception group, as a bug of ours).
    """
    async with uplink, inbox, playout:
        session = SessionTasks(stream, inbox, Voice(inbox, playout, next_generation), liveness, on_slow)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.down)
                nursery.start_soon(session.watch)
                with shortened(end, session.take):
                    await session.up(uplink)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # No exception in a variable here: it would keep this frame, and by that the call, for the collector.
            if _is_none_of_theirs(group):
                raise
            if group.subgroup(ModelLost) is not None:
                raise most_telling(group) from None


def _is_none_of_theirs(group: BaseExceptionGroup[BaseException]) -> bool:
    """Whether there is more in it than losses and closed channel ends of readers, whose own tree says why."""
    _, other = group.split((ModelLost, trio.BrokenResourceError))
    return other is not None
