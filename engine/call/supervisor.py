"""THE TREE: which actors a call has, how they are joined, and what each failure means.

    run_call(line, ...) -> Outcome
    └─ call nursery .................. lives until the line ends or the floor's last holder lets go
       ├─ ingress, jitter, egress       the phone: if one of these ends, the call ends
       ├─ listener                      the caller's words, where a service for that is configured
       ├─ retriever, tool executor      the slow lane: restarted when they crash; a booking in flight survives the model
       └─ hold_floor (call/floor.py)    the floor, held in turn, plain sequential code:
          ├─ seats nursery              model sessions: the one that speaks, and a successor being opened
          ├─ conversation               turn-keeper with a seat: until the call ends or the model is lost
          │  └─ keep_renewed              a successor beside the seat before its time limit, while nothing is owed
          └─ script                     fallback responder: until it ends the call or hands back to a successor

| channel    | carries                 | from                          | to             | holds | full |
|------------|-------------------------|-------------------------------|----------------|-------|------|
| inbox      | FloorEvent              | line parts, seats, slow lane  | floor's holder | 256   | (1)  |
| playout    | PlayoutCommand          | seats, turn-keeper, script    | egress         | 64    | wait |
| uplink     | windows, turn commands  | jitter's gate, turn-keeper    | seat or script | 64    | (2)  |
| queries    | Query                   | turn-keeper                   | retriever      | 8     | (3)  |
| tool_calls | ToolCall, ...Cancelled  | turn-keeper                   | tool executor  | 16    | wait |
| heard      | ListenerInput: windows  | jitter's gate                 | listener       | 64    | (2)  |

(1) The line's parts (plain calls of the media plane) are refused and counted; tasks wait. (2) Windows are refused and
counted, and the model's liveness decides; commands wait. (3) Refused and counted; the turn's budget stands in.
Where a seat, egress or the listener waits with nothing queued, windows, commits and playout commands reach it by a
plain call in place of the channel (``engine/shortcut.py``): in the same order, for a fraction of a task's wake-up.
Each tenure of the floor has an uplink of its own, so that nothing meant for a lost model reaches its successor.

| what ends or fails        | what it means                                                                         |
|---------------------------|---------------------------------------------------------------------------------------|
| ingress raises LineLost   | the call is over; the outcome is the line's reason, unless we had decided to end it   |
| jitter or egress crash    | the call is over, our fault                                                           |
| a seat nears its limit    | a fresh session is opened beside it and goes on in its place: the caller hears nothing |
| a seat is lost            | conversation ends with ModelLost; the floor goes to the script at once, meanwhile the |
|                           | same model is resumed or opened afresh, else the tenant's next (``call/lineup.py``)   |
| a model fails for all     | calls pass it over until one that tries it is served again (``call/circuits.py``)     |
| the listener is lost      | opened again; meanwhile turns wait out their budget, or use the model's own transcript |
| retriever crashes         | restarted with backoff; meanwhile turns are committed when their budget is spent      |
| tool executor crashes     | restarted with backoff; the ledger answers what had begun                             |
| anything unforeseen       | this call ends (CRASHED, traceback logged, counted), no other                         |
"""

import itertools
from collections.abc import Awaitable, Callable

import trio

from engine.audio.echo import EchoGuard
from engine.audio.pacer import Pacer
from engine.audio.speech import SUSPECT_MS, UNDECIDED_MS, SpeechDetector
from engine.audio.windows import PREROLL_MS, WindowBuilder
from engine.call.channels import FloorEnds
from engine.call.context import CallContext
from engine.call.desk import CallDesk
from engine.call.floor import hold_floor
from engine.call.outcome import Outcome, Reason
from engine.call.oversight import Console
from engine.call.probe import CallProbe
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.errors import LineLost, first_of_kind
from engine.log import get_logger
from engine.messages import FloorEvent, ListenerInput, PlayoutCommand, Query, ToolCall, ToolCallsCancelled
from engine.model.listener import run_listener
from engine.retrieval.retriever import run_retriever
from engine.shortcut import ShortEnd
from engine.telephony.egress import Playout, run_egress
from engine.telephony.ingress import run_ingress
from engine.telephony.jitter import CallerAudioGate, run_jitter
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Tenant
from engine.tools.executor import run_tool_executor

INBOX_QUEUED = 256
PLAYOUT_QUEUED = 64
QUERIES_QUEUED = 8
TOOL_CALLS_QUEUED = 16
HEARD_QUEUED = 64
RESTART_PAUSES_S = (0.1, 0.5, 2.0)

log = get_logger("call.supervisor")


async def run_call(*, line: MediaLine, tenant: Tenant, record: CallRecord, services: Services) -> Outcome:
    """Serve one line from its start to its end. Never raises for anything that happens inside the call.

    Args:
        line: its ``start`` has come.
        record: where the call stands; fresh, or what an earlier leg of the same call left. Its ``outcome`` is set as
            soon as we decide to end or transfer the call, before the carrier is asked to.
    """
    try:
        await _run_tree(line, tenant, record, services)
    except* LineLost as group:
        record.outcome = record.outcome or _of_line(group)
    except* Exception as group:
        # One crash ends at most its own call: this is the edge where "unforeseen" becomes an outcome.
        log.error("a call crashed", exc_info=group)
        services.metrics.crashes.labels("call").inc()
        # An end that had been decided stays: a call that was ended or put through must not be brought back.
        record.outcome = record.outcome or Outcome.of(Reason.CRASHED, repr(first_of_kind(group, Exception)))
    assert record.outcome is not None, "a tree that ends by itself has decided why"
    return record.outcome


def _of_line(group: ExceptionGroup[LineLost]) -> Outcome:
    # An exception in a variable of the frame that it came through would keep the whole tree until the collector comes.
    lost = first_of_kind(group, LineLost)
    return Outcome.of_line(lost.reason, lost.detail)


async def _run_tree(line: MediaLine, tenant: Tenant, record: CallRecord, services: Services) -> None:
    metrics = services.metrics
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](INBOX_QUEUED)
    playout_only, playout_commands = trio.open_memory_channel[PlayoutCommand](PLAYOUT_QUEUED)
    playout_send = ShortEnd(playout_only)
    queries_send, queries = trio.open_memory_channel[Query](QUERIES_QUEUED)
    tool_calls_send, tool_calls = trio.open_memory_channel[ToolCall | ToolCallsCancelled](TOOL_CALLS_QUEUED)
    heard_only, heard = trio.open_memory_channel[ListenerInput](HEARD_QUEUED)
    heard_send = ShortEnd(heard_only)
    playout = Playout(
        pacer=Pacer(lead_ms=tenant.timing.lead_ms),
        inbox=inbox_send,
        on_cut=lambda cut: record.cut(cut.generation, cut.heard_ms, cut.queued_ms, whole=cut.whole),
        metrics=metrics,
        longest_pause_s=(tenant.timing.barge_in_ms + UNDECIDED_MS) / 1000,
        on_played=lambda played: record.played(played.generation, played.heard_ms),
        is_late=lambda: line.plane.is_late,
        on_resume=lambda paused_s: record.backchannel(trio.current_time(), paused_s),
    )

    def agent_sounding() -> bool:
        return playout.is_sounding(trio.current_time())

    gate = CallerAudioGate(
        inbox=inbox_send,
        vad=services.new_vad(),
        detector=SpeechDetector(
            endpointing_ms=tenant.timing.endpointing_ms,
            barge_in_ms=tenant.timing.barge_in_ms,
            suspect_ms=SUSPECT_MS,
        ),
        windows=WindowBuilder(window_ms=tenant.timing.window_ms, keep_ms=2 * tenant.timing.barge_in_ms + PREROLL_MS),
        agent_sounding=agent_sounding,
        metrics=metrics,
        listener=heard_send if services.listener else None,
        hush=playout,
        echo=EchoGuard(playout.played),
    )
    recordings = services.recordings
    recorder = None
    if recordings is not None:
        recorder = recordings.recorder(tenant, record, lambda: playout.held_s(trio.current_time()))
    desk = CallDesk()
    context = CallContext(
        tenant=tenant,
        record=record,
        services=services,
        desk=desk,
        inbox_send=inbox_send,
        recorder=recorder,
        ends=FloorEnds(
            inbox=inbox,
            playout=playout_send,
            queries=queries_send,
            tool_calls=tool_calls_send,
            gate=gate,
            agent_sounding=agent_sounding,
            next_generation=record.next_generation,
            listening=services.listener is not None,
        ),
    )
    probe = record.probe = CallProbe(
        {
            "inbox": inbox_send,
            "playout": playout_send,
            "queries": queries_send,
            "tool_calls": tool_calls_send,
            "heard": heard_send,
        }
    )
    console = Console(
        tenant=tenant, record=record, desk=desk, ends=context.ends, inbox=inbox_send, line=line, out=playout
    )
    with (
        services.oversight.watching(console),
        inbox,
        playout_send,
        queries_send,
        tool_calls_send,
        queries,
        tool_calls,
        inbox_send,
        heard_send,
        heard,
    ):
        async with trio.open_nursery() as call:
            on_key = recorder.key if recorder is not None else None
            call.start_soon(
                probe.actor, "ingress", lambda: run_ingress(line=line, inbox=inbox_send.clone(), on_key=on_key)
            )
            call.start_soon(probe.actor, "jitter", lambda: run_jitter(line=line, gate=gate, metrics=metrics))
            call.start_soon(
                probe.actor,
                "egress",
                lambda: run_egress(
                    line=line, playout=playout, commands=playout_commands, end=playout_send, metrics=metrics
                ),
            )
            call.start_soon(
                _restarting,
                probe,
                "retriever",
                lambda: run_retriever(
                    tenant_id=tenant.id, queries=queries.clone(), inbox=inbox_send.clone(), search=services.search
                ),
                metrics.crashes.labels("retriever").inc,
            )
            call.start_soon(
                _restarting,
                probe,
                "tools",
                lambda: run_tool_executor(
                    tenant=tenant,
                    call_sid=record.call_sid,
                    calls=tool_calls.clone(),
                    inbox=inbox_send.clone(),
                    catalog=services.catalog,
                    ledger=services.ledger,
                    context=context.tool_context(),
                ),
                metrics.crashes.labels("tools").inc,
            )
            if (listener := services.listener) is not None:
                call.start_soon(
                    _restarting,
                    probe,
                    "listener",
                    lambda: run_listener(
                        provider=listener,
                        heard=heard.clone(),
                        end=heard_send,
                        inbox=inbox_send.clone(),
                        metrics=metrics,
                    ),
                    metrics.crashes.labels("listener").inc,
                )
            if recorder is not None:
                call.start_soon(probe.actor, "recorder", lambda: recorder.run(gate, playout))
            await hold_floor(context)
            call.cancel_scope.cancel()


async def _restarting(
    probe: CallProbe, name: str, actor: Callable[[], Awaitable[None]], crashed: Callable[[], None]
) -> None:
    """Run a slow-lane actor again when it crashes: its caller is better served without it than not at all."""
    for pause in itertools.chain(RESTART_PAUSES_S, itertools.repeat(RESTART_PAUSES_S[-1])):
        try:
            await probe.actor(name, actor)
        except Exception as error:
            # Whatever it was: its caller is on the line, and everything else of the call works.
            log.error("restarting an actor that crashed", actor=name, exc_info=error)
            crashed()
            await trio.sleep(pause)
        else:
            return
