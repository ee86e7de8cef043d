"""What a call is given: everything it needs from outside, made once in the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.audio.vad import Vad
from engine.call.circuits import Circuits
from engine.call.oversight import Oversight
from engine.call.record import Moment
from engine.call.recording import Recordings
from engine.fallback.prompts import PromptLibrary
from engine.metrics import Metrics
from engine.model.listener import ListenProvider
from engine.model.provider import ModelProvider
from engine.retrieval.search import Search
from engine.store.diary import Diary
from engine.store.follow_ups import FollowUps
from engine.store.ledger import Ledger
from engine.telephony.rest import Carrier
from engine.tools.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all calls of a process.

    Attributes:
        providers: by the name used in a tenant's model order, and ``NAME-backup`` for another endpoint of the same;
            a name without a provider is skipped.
        circuits: which of them fail for everyone.
        carrier: None where no REST credentials are configured; then calls end by closing the stream and letting the
            carrier's recovery request be answered with a hang-up, and nobody can be put through.
        dial_done_url: where the carrier reports the end of a transfer.
        wall_clock: aware of its zone; for dates that are said or written, never for timing.
        new_vad: one detector per call; detectors keep state.
        listener: gives the caller's words while they are spoken; None: what the speaking model understands must do.
        observe: sees every moment of every call's timeline as it happens; must return at once.
        oversight: where operators find the calls that are on the line.
        recordings: None: nothing is recorded, whatever tenants want.
    """

    providers: Mapping[str, ModelProvider]
    circuits: Circuits
    search: Search
    catalog: Catalog
    ledger: Ledger
    follow_ups: FollowUps
    diary: Diary
    wall_clock: Callable[[], datetime]
    prompts: PromptLibrary
    carrier: Carrier | None
    dial_done_url: str
    new_vad: Callable[[], Vad]
    metrics: Metrics
    observe: Callable[[str, Moment], None] | None = field(default=None)
    listener: ListenProvider | None = field(default=None)
    oversight: Oversight = field(default_factory=Oversight)
    recordings: Recordings | None = field(default=None)
