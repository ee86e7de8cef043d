"""``python -m engine.workers.stand_in LINK,STACKS,LISTENER``: the static script, while no worker can serve.

As little as possible is needed for it: no model, no database, no rendered prompts, and few of the imports (whatever
keeps workers from starting may well be one of those). Tenants come from the local copy; a recorded message goes to the
spool, from which the next worker takes it.
"""

import secrets
import sys
import time
from datetime import UTC, datetime
from functools import partial

import trio

from engine import log
from engine.call.switchboard_types import Admission, EndState, SwitchboardStatistics
from engine.config import Settings
from engine.errors import StoreUnavailable
from engine.metrics import Metrics
from engine.server.app import serve_gateway
from engine.server.ports import Gateway
from engine.server.recordings import keep_recording
from engine.server.tenant_copy import read_cached_tenants
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.live_calls import ClaimRefused
from engine.store.spool import SpooledStore
from engine.store.usage import UsageRecord
from engine.telephony.line import MediaLine
from engine.telephony.plane import MediaPlane
from engine.tenants.directory import MemoryDirectory
from engine.tenants.tenant import Tenant
from engine.wire.stream_token import StreamClaims, StreamTokens
from engine.wire.twilio_media import Start
from engine.workers.post import Station, manned, take_listener

NOBODY_KNOWN = 3  # exit status


class NobodyHome:
    """A switchboard that takes nobody: whoever asks is answered by the static script."""

    def admission(self, tenant: Tenant, *, call_sid: str = "", recovery: bool = False) -> Admission:
        """None."""
        del tenant, call_sid, recovery
        return Admission.DRAINING

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        """Never asked: nobody is admitted."""

    def end_reason(self, call_sid: str) -> EndState:
        """Whoever knew has died."""
        del call_sid
        return EndState.UNKNOWN

    async def look_up(self, call_sid: str, tenant_id: str, *, within_s: float, patient: bool = True) -> None:
        """Nobody is asked: the caller is waiting."""

    async def take_over(self, call_sid: str) -> int:
        """The first that we hear of."""
        del call_sid
        return 1

    async def claim_line(self, start: Start, claims: StreamClaims) -> ClaimRefused | None:
        """Never asked: nobody is admitted."""

    def carrier_says_ended(self, call_sid: str, why: str, *, tenant_id: str = "") -> None:
        """Nothing of ours."""

    def move_all(self) -> None:
        """There is nothing to move."""

    async def flush(self) -> None:
        """There is nothing to write."""

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        """Noted by nobody."""

    def begin_drain(self) -> None:
        """There is nothing to drain."""

    def statistics(self) -> SwitchboardStatistics:
        """None."""
        return SwitchboardStatistics(0, 0, draining=True)


class AwayStore:
    """A store that is away, so that everything goes to the spool."""

    async def keep_call(self, end: CallEnd) -> bool:
        """Away."""
        del end
        raise StoreUnavailable("nobody has asked the database")

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """Away."""
        del item
        raise StoreUnavailable("nobody has asked the database")

    async def keep_usage(self, record: UsageRecord) -> bool:
        """Away."""
        del record
        raise StoreUnavailable("nobody has asked the database")

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """Nothing."""
        del tenant_id
        return []

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """Nothing."""
        del tenant_id
        return []

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """Nothing."""
        del tenant_id
        return []


async def stand_in(settings: Settings, station: Station) -> None:
    """Answer until told that somebody serves again."""
    tenants = read_cached_tenants(settings)
    if not tenants:
        # "Not in service" would be a lie about every number; unanswered, the carrier asks the number's fallback URL.
        log.get_logger("workers.stand_in").error("no tenants are known here, so nobody can be answered")
        sys.exit(NOBODY_KNOWN)
    secret = settings.secret_key.get_secret_value() if settings.secret_key else secrets.token_hex(32)
    spool = SpooledStore(AwayStore(), settings.data_dir / "spool")
    async with manned(station) as post, trio.open_nursery() as nursery:
        gateway = Gateway(
            settings=settings,
            directory=MemoryDirectory(tenants),
            switchboard=NobodyHome(),
            plane=MediaPlane(),
            tokens=StreamTokens(secret, clock=time.time),
            metrics=Metrics(),
            keep_recording=lambda recording: nursery.start_soon(keep_recording, spool, recording, datetime.now(UTC)),
        )
        serve = partial(serve_gateway, gateway, shutdown=post.end, leave=post.leave, listener=take_listener(station))
        await nursery.start(serve)
        post.serving()


def main() -> None:
    """Of the process."""
    settings = Settings.read()
    log.configure(settings.log_level, pretty=log.for_people(settings.log_format))
    log.bind_call(worker=settings.worker_id)
    trio.run(stand_in, settings, Station.parse(sys.argv[1]))


if __name__ == "__main__":
    main()
