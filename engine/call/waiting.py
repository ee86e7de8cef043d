"""Calls whose line is gone, and whose caller may be brought back: waited for, and then over."""

from collections.abc import Awaitable, Callable

import trio

from engine.call.call_ends import CallEnds
from engine.call.entries import Entry


class Waiting:
    """One per process.

    Args:
        confirm: makes as sure as can be, within seconds, that the call has not been brought back elsewhere.
        to_others: where this process ends, others go on waiting; else all that is waited for is over then.
    """

    def __init__(self, *, ends: CallEnds, confirm: Callable[[Entry], Awaitable[None]], to_others: bool) -> None:
        self._ends, self._confirm, self._to_others = ends, confirm, to_others
        self._scopes: dict[str, trio.CancelScope] = {}

    def __contains__(self, call_sid: str) -> bool:
        return call_sid in self._scopes

    def __len__(self) -> int:
        return len(self._scopes)

    def start(self, nursery: trio.Nursery, entry: Entry, patience_s: float) -> None:
        """Wait for this call, from this instant on, and no longer than that."""
        self.is_back(entry.call_sid)
        scope = self._scopes[entry.call_sid] = trio.CancelScope()
        nursery.start_soon(self._wait, entry, scope, patience_s, name=f"recovery of {entry.call_sid}")

    def is_back(self, call_sid: str) -> None:
        """It is served again, here or elsewhere: the end that waited for this is not the call's end."""
        if (scope := self._scopes.pop(call_sid, None)) is not None:
            scope.cancel()

    def is_over(self, call_sid: str) -> None:
        """It will not come back."""
        if (scope := self._scopes.get(call_sid)) is not None:
            scope.cancel()

    async def _wait(self, entry: Entry, scope: trio.CancelScope, patience_s: float) -> None:
        is_ours = not self._to_others
        try:
            with scope:
                await trio.sleep(patience_s)
            if self._scopes.get(entry.call_sid) is scope:
                await self._confirm(entry)
            is_ours = True
        finally:
            if self._scopes.get(entry.call_sid) is scope:
                del self._scopes[entry.call_sid]
                entry.left = not is_ours
                if is_ours and entry.record is not None:
                    self._ends.end_as_left(entry, entry.record)
