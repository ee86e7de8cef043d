"""Actor: the model's wishes in, exactly one answer to each out; and no effect twice.

Each call runs as a task of its own, so a slow one holds up no other. What may happen to it:

    refused at once   unknown tool, arguments its schema does not allow, too much at once
    the ledger knows  the same call, or the same effect under another id: its answer is given again; where it is still
                      running, this one waits for it
    run               under the tool's deadline
      reads           ends when the model or the call no longer wants it
      writes          once begun, goes on to its end or its deadline, whatever else ends meanwhile
    fails             a peer failed, the deadline passed, the tool crashed: the team gets a task, the caller a promise.
                      A write that failed is never run again in this call: nobody knows how far it came.
    takes long        ``ToolStarted`` after ``PATIENCE_S``, whether it is the ledger or the tool that takes so long
    never came back   an earlier attempt, whose process is gone: a write that is idempotent is run again under its
                      effect id; any other is for a person
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from uuid import uuid4

import trio

from engine.errors import MisuseError, RemoteError
from engine.log import get_logger
from engine.messages import Effect, FloorEvent, ToolCall, ToolCallsCancelled, ToolResult, ToolStarted
from engine.store.follow_ups import FollowUp
from engine.tenants.schema import violations
from engine.tenants.tenant import Tenant
from engine.tools import answers
from engine.tools.catalog import Catalog, OfferedTool
from engine.tools.context import ToolContext
from engine.tools.ledger import (
    AlreadyDone,
    Claim,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    Ledger,
    OutcomeUnknown,
    Response,
    effect_key,
)

BOOKKEEPING_S = 2.0  # each step at the ledger or the task list; shielded, since half a step is the worst of all
ANSWERING_S = 1.0  # handing the answer over once nobody may be listening any more
PATIENCE_S = 0.7  # a caller bears so much silence; what is done by then needs no filler line
AT_ONCE = 16  # tools running for one call; a model that wants more is running wild, and is refused at once

_Landed: TypeAlias = Claimed | OutcomeUnknown | AlreadyDone | IdReused
_PEER_FAILED = (RemoteError, OSError, trio.TooSlowError)
_log = get_logger("tools")


@dataclass(frozen=True, slots=True)
class _Answer:
    response: Response
    deduplicated: bool = False


@dataclass(slots=True)
class _Desk:
    """What the tasks of one actor share."""

    tools: Mapping[str, OfferedTool]
    inbox: trio.MemorySendChannel[FloorEvent]
    ledger: Ledger
    context: ToolContext
    nursery: trio.Nursery
    waiting: dict[str, list[trio.CancelScope]] = field(default_factory=dict)
    running: int = 0

    def expect(self, call: ToolCall) -> trio.CancelScope:
        """Make the call cancellable from now on, also before its task has begun."""
        if (call.tenant_id, call.call_sid) != (self.context.tenant.id, self.context.call_sid):
            raise MisuseError(f"a tool call of {call.tenant_id} / {call.call_sid} reached {self.context.call_sid}")
        scope = trio.CancelScope()
        self.waiting.setdefault(call.call_id, []).append(scope)
        return scope

    def cancel(self, call_ids: tuple[str, ...]) -> None:
        """The model no longer waits for these; ids that are not here any more are of no interest."""
        for call_id in call_ids:
            for scope in self.waiting.get(call_id, ()):
                scope.cancel()

    async def serve(self, call: ToolCall, scope: trio.CancelScope) -> None:
        """One call, from wish to answer."""
        began = trio.current_time()
        answer = _Answer(answers.STOPPED)
        try:
            with scope:
                answer = await self._answer(call)
        finally:
            self.waiting[call.call_id].remove(scope)
            if not self.waiting[call.call_id]:
                del self.waiting[call.call_id]
            took_ms = 1000 * (trio.current_time() - began)
            result = ToolResult(call.call_id, call.name, answer.response, answer.deduplicated, took_ms)
            await self._hand_over(result)

    async def _hand_over(self, result: ToolResult) -> None:
        # A full inbox is waited for as long as the call lives; shielded, and bounded once it does not.
        with suppress(trio.BrokenResourceError):
            try:
                await self.inbox.send(result)
            except trio.Cancelled:
                with trio.move_on_after(ANSWERING_S, shield=True):
                    await self.inbox.send(result)
                raise

    async def _answer(self, call: ToolCall) -> _Answer:
        offered = self.tools.get(call.name)
        if offered is None:
            known = ", ".join(self.tools) or "none"
            return _Answer(answers.refused(f"There is no tool of that name. There are: {known}."))
        wrong = [*violations(offered.spec.parameters, call.arguments)]
        wrong = wrong or [*violations(offered.tool.spec.parameters, call.arguments)]
        if wrong:
            return _Answer(answers.refused(f"These arguments cannot be used: {'; '.join(wrong)}.", retryable=True))
        key = effect_key(call, once_per_call=offered.tool.once_per_call, each=offered.tool.each)
        # Long enough for every step of an attempt, so that a lease that is over means: its process is gone.
        lease_s = offered.spec.timeout_s + 3 * BOOKKEEPING_S
        request = ClaimRequest(call.call_id, uuid4().hex, offered.spec.effect, lease_s)
        announcing = trio.CancelScope()
        self.nursery.start_soon(self._announce_if_slow, call, offered, announcing)
        try:
            return await self._claim_and_act(call, offered, key, request, announcing)
        finally:
            announcing.cancel()

    async def _claim_and_act(
        self, call: ToolCall, offered: OfferedTool, key: EffectKey, request: ClaimRequest, announcing: trio.CancelScope
    ) -> _Answer:
        lease_s = request.lease_s
        try:
            claim = await self._claim(key, request)
            while isinstance(claim, InFlight):
                announcing.cancel()  # the one that runs has been announced
                settled: Response | None = None
                with trio.move_on_after(lease_s):
                    settled = await self.ledger.wait_settled(claim.key)
                if settled is not None:
                    return _Answer(settled, deduplicated=True)
                claim = await self._claim(key, request)
        except _PEER_FAILED as error:
            _log.error("the ledger cannot be reached", tool=call.name, error=repr(error))
            return _Answer(await self._call_back(call, key, "it could not be made sure that it is done only once"))
        return await self._act_on(claim, call, offered, request.attempt)

    async def _act_on(self, claim: _Landed, call: ToolCall, offered: OfferedTool, attempt: str) -> _Answer:
        match claim:
            case Claimed(key):
                return await self._attempt(call, offered, key, attempt)
            case OutcomeUnknown(key) if offered.tool.idempotent:
                return await self._attempt(call, offered, key, attempt)  # the claim is ours; the endpoint knows the key
            case OutcomeUnknown(key):
                response = await self._call_back(call, key, "an earlier attempt never came back")
                await self._settle(key, attempt, response, offered.spec.effect)
                return _Answer(response)
            case AlreadyDone(known):
                return _Answer(known, deduplicated=True)
            case IdReused():
                _log.warning("a call id came back with other arguments", tool=call.name)
                return _Answer(answers.refused("This call id was used before; call again.", retryable=True))

    async def _claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        # Shielded: a cancelled claim may have been written all the same, and would then be owned by nobody.
        with trio.fail_after(BOOKKEEPING_S, shield=True):
            return await self.ledger.claim(key, request)

    async def _attempt(self, call: ToolCall, offered: OfferedTool, key: EffectKey, attempt: str) -> _Answer:
        """We own the effect: run it, and tell the ledger how it ended, whatever happens."""
        effect = offered.spec.effect
        response: Response | None = None
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # not begun yet: even a write may be called off here
            with trio.CancelScope(shield=effect is Effect.WRITES):
                response = await self._run(call, offered, key)
        finally:
            await self._settle(key, attempt, response, effect)
        return _Answer(response or answers.STOPPED)

    async def _run(self, call: ToolCall, offered: OfferedTool, key: EffectKey) -> Response:
        if self.running >= AT_ONCE:
            return answers.refused("Too much is being done at once. Wait for what is running.")
        self.running += 1
        response: Response | str = ""
        try:
            response = await self._try(call, offered, key)
        finally:
            self.running -= 1
        return await self._call_back(call, key, response) if isinstance(response, str) else response

    async def _try(self, call: ToolCall, offered: OfferedTool, key: EffectKey) -> Response | str:
        """The tool's answer, or why there is none."""
        try:
            with trio.fail_after(offered.spec.timeout_s):
                context = replace(self.context, effect_id=key.effect_id)
                return answers.checked(await offered.tool.handler(context, call.arguments))
        except _PEER_FAILED as error:
            _log.warning("a tool failed", tool=call.name, error=repr(error))
            return "it took too long" if isinstance(error, trio.TooSlowError) else "something it needs did not answer"
        except Exception:  # noqa: BLE001 - a bug in one tool must cost its caller no more than a call back
            _log.exception("a tool crashed", tool=call.name)
            return "it crashed"

    async def _announce_if_slow(self, call: ToolCall, offered: OfferedTool, announcing: trio.CancelScope) -> None:
        """A courtesy: where the inbox is full it waits, and is dropped with the end of the tool."""
        with announcing, suppress(trio.BrokenResourceError):
            await trio.sleep(PATIENCE_S)
            await self.inbox.send(ToolStarted(call.call_id, call.name, offered.spec.effect, offered.spec.filler))

    async def _settle(self, key: EffectKey, attempt: str, response: Response | None, effect: Effect) -> None:
        """Write into the ledger what came of it. Failing that, the claim runs out and a person will look."""
        final = response is not None and (
            response["status"] == "ok" or (response["status"] == "error" and effect is Effect.WRITES)
        )
        try:
            with trio.fail_after(BOOKKEEPING_S, shield=True):
                if final and response is not None:
                    await self.ledger.finish(key, attempt, response)
                else:
                    await self.ledger.abandon(key, attempt, response)
        except _PEER_FAILED as error:
            _log.error("the ledger does not know how a tool ended", tool=key.tool, error=repr(error))

    async def _call_back(self, call: ToolCall, key: EffectKey, why: str) -> Response:
        """Leave the team a task, and give the model words for the caller."""
        task = FollowUp(
            tenant_id=call.tenant_id,
            call_sid=call.call_sid,
            key=f"{key.effect_id}-task",
            kind="task",
            caller=self.context.caller,
            text=f"Call back: {call.name} was asked for, but {why}. It may or may not have been done.",
            noted_at=self.context.now().isoformat(),
            details={"tool": call.name, "arguments": dict(call.arguments)},
        )
        try:
            with trio.fail_after(BOOKKEEPING_S, shield=True):
                await self.context.follow_ups.keep_follow_up(task)
        except _PEER_FAILED as error:
            _log.error("a task for the team was lost", tool=call.name, error=repr(error))
            return answers.CALL_BACK_UNNOTED
        return answers.CALL_BACK


async def run_tool_executor(
    *,
    tenant: Tenant,
    call_sid: str,
    calls: trio.MemoryReceiveChannel[ToolCall | ToolCallsCancelled],
    inbox: trio.MemorySendChannel[FloorEvent],
    catalog: Catalog,
    ledger: Ledger,
    context: ToolContext,
) -> None:
    """Serve tool calls until their channel closes and the last of them is answered.

    When cancelled, ends reads at once and lets every write that has begun go on to its deadline; answers are still
    handed over where somebody takes them within a second.

    Raises:
        ConfigurationError: the tenant's document offers a tool that the catalog cannot do.
        ExceptionGroup: of a ``MisuseError`` (a call of another tenant or call), or of a bug in a ledger.
    """
    if context.tenant.id != tenant.id or context.call_sid != call_sid:
        raise MisuseError(f"tools of {tenant.id} / {call_sid} were given the context of {context.tenant.id}")
    tools = catalog.for_tenant(tenant)
    async with calls, inbox, trio.open_nursery() as nursery:
        desk = _Desk(tools, inbox, ledger, context, nursery)
        async for message in calls:
            match message:
                case ToolCallsCancelled(call_ids):
                    desk.cancel(call_ids)
                case ToolCall():
                    nursery.start_soon(desk.serve, message, desk.expect(message))
