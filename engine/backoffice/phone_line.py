"""A browser's end of its call. Its socket may break and be opened again: the call goes on, as on a phone in a tunnel.

While no page is there, or one that says nothing, the other side hears silence, and its own sound goes unheard. What the
page must know of the call (``phone_wire``) is told again when it is back. A page that stays away has hung up.
"""

from contextlib import suppress

import orjson
import trio

from engine.backoffice import phone_wire
from engine.backoffice.phone_call import PhoneCall
from engine.backoffice.phone_wire import FromPage, HungUp, Played, Spoken, Voice
from engine.log import get_logger

AWAY_S = 10.0  # a page tries to come back for as long
LONGEST_S = 3600.0  # a page that was forgotten is hung up on
STALLED_S = 5.0  # a page that takes nothing for so long is gone, whatever its socket says
FILL_S = 0.2
QUIET_S = 2 * FILL_S  # a page that is there sends a frame every 20 ms, muted or not
QUEUED = 64  # messages to the page
STATES = frozenset({"start", "stopped", "say", "ended"})

log = get_logger("backoffice.phone")


class PhoneLine:
    """See the module. ``cookie``: of the session whose page may take it up."""

    def __init__(self, call: PhoneCall, cookie: str) -> None:
        self.call, self.cookie = call, cookie
        self.was_up = False
        self._to_page: trio.MemorySendChannel[str] | None = None
        self._state = ""
        self._heard_at = trio.current_time()

    # --- the page's side ---------------------------------------------------------------------------------------------

    def take_up(self) -> trio.MemoryReceiveChannel[str]:
        """What a new socket is to send. It ends with the call, or when another socket takes the line up.

        To be closed when the socket is gone.
        """
        self._let_go()
        self._to_page, told = trio.open_memory_channel[str](QUEUED)
        if self._state:
            self._to_page.send_nowait(self._state)
        self.was_up, self._heard_at = True, trio.current_time()
        return told

    def take(self, told: FromPage) -> None:
        """Something of the page's; nothing waits."""
        self._heard_at = trio.current_time()
        if isinstance(told, Spoken):
            self._state = ""  # a page that comes back is not to speak it again
        self.call.take(told)

    # --- the call's side ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """The call, from being picked up to its end."""
        with trio.move_on_after(LONGEST_S) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._mind)
                await self.call.run(self.tell)
                nursery.cancel_scope.cancel()
        if scope.cancelled_caught:
            await self.tell(phone_wire.tell("ended", why="A call from a page may last an hour.", problems=[]))
        self._let_go()

    async def tell(self, message: str) -> None:
        """Tell the page, if it is there; what it must know is kept for when it is back."""
        about = _about(message)
        if about in STATES:
            self._state = message
        if (to_page := self._to_page) is not None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                with trio.move_on_after(STALLED_S):
                    await to_page.send(message)
                    return
            if to_page is self._to_page:
                self._let_go()
        if about == "mark":
            # As a carrier does for a phone without reception: it was played, to nobody.
            self.call.take(Played(phone_wire.mark_of(message)))

    async def _mind(self) -> None:
        while self.call.how_ended is None:
            await trio.sleep(FILL_S)
            quiet_s = trio.current_time() - self._heard_at
            on_stream = self.call.stream is not None
            if quiet_s > AWAY_S and (on_stream or not self._is_there()):
                log.info("the page stays away", call_sid=self.call.sid)
                self.call.take(HungUp())
            elif quiet_s > QUIET_S and on_stream:
                self.call.take(Voice(phone_wire.silence(FILL_S)))

    def _is_there(self) -> bool:
        return self._to_page is not None and self._to_page.statistics().open_receive_channels > 0

    def _let_go(self) -> None:
        if self._to_page is not None:
            self._to_page.close()
            self._to_page = None


def _about(message: str) -> str:
    # What the gateway sends comes every 20 ms and more often: it is not parsed again for the few words looked for here.
    head = message[:40]
    if '"media"' in head:
        return "media"
    return str(orjson.loads(message)["event"])
