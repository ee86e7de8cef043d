"""A message that the carrier recorded, on its way to the business: a follow-up with the recording's address."""

from datetime import datetime

from engine.call.switchboard_types import CarrierRecording
from engine.errors import MisuseError
from engine.log import get_logger
from engine.store.follow_ups import FollowUp, FollowUps

log = get_logger("server.recordings")


async def keep_recording(store: FollowUps, recording: CarrierRecording, now: datetime) -> None:
    """Note that somebody has to listen to it; where that fails, the log has its address."""
    item = FollowUp(
        tenant_id=recording.tenant_id,
        call_sid=recording.call_sid,
        key=f"recording-{recording.recording_sid}",
        kind="message",
        caller=recording.caller,
        text=f"A recorded message: {recording.url}",
        noted_at=now.isoformat(),
        details={"url": recording.url, "duration_s": recording.duration_s},
    )
    try:
        await store.keep_follow_up(item)
    except (OSError, MisuseError) as error:
        log.error("a carrier's recording could not be noted", url=recording.url, detail=str(error))
