"""The vocabulary between actors: frozen, slotted, no behaviour.

Five groups, one per channel of ``call/supervisor.py``:

* ``line``: what the floor's holder hears from the line (``LineEvent``: speech, keys, playback), and what it says to the
  line (``PlayoutCommand``: audio by generation, end of utterance, cut);
* ``model``: what goes up to a model session (``Uplink``: caller audio in windows, turn commands), and what comes back
  from one (``ModelEvent``);
* ``slow_lane``: questions to and answers from retrieval and tools.

``floor`` sums up what reaches the one inbox. Import names from here, not from the files.  May import:
``errors``.  The one check in it: a turn is committed with an outcome of its own.

Units: times in seconds on the call's clock (``trio.current_time()``) where a name ends in ``_at``, milliseconds where
it ends in ``_ms``.  Audio is ``bytes`` of mu-law at 8 kHz (8 bytes per millisecond) unless a name says otherwise.
A *generation* numbers one utterance of one speaker on the way out; it only grows during a call.
"""

from engine.messages.floor import (
    Floor,
    FloorEvent,
    OperatorActed,
)
from engine.messages.line import (
    Cut,
    CutPlayout,
    EndUtterance,
    KeyPressed,
    LineEvent,
    PlayAudio,
    PlayoutCommand,
    SpeechEnded,
    SpeechStarted,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.messages.model import (
    AgentTranscript,
    CallerAudio,
    CallerPaused,
    CallerTranscript,
    CommitTurn,
    ListenerInput,
    ModelEvent,
    OpenTurn,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    ResumeHandle,
    SessionExpiring,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    TurnReplayed,
    Uplink,
    UsageReported,
    WordsHeard,
)
from engine.messages.slow_lane import (
    Asked,
    Effect,
    Notes,
    NothingFound,
    Passage,
    Query,
    RetrievalOutcome,
    Skipped,
    TimedOut,
    ToolCall,
    ToolResult,
    ToolStarted,
)

__all__ = [
    "AgentTranscript",
    "Asked",
    "CallerAudio",
    "CallerPaused",
    "CallerTranscript",
    "CommitTurn",
    "Cut",
    "CutPlayout",
    "Effect",
    "EndUtterance",
    "Floor",
    "FloorEvent",
    "KeyPressed",
    "LineEvent",
    "ListenerInput",
    "ModelEvent",
    "Notes",
    "NothingFound",
    "OpenTurn",
    "OperatorActed",
    "Passage",
    "PlayAudio",
    "PlayoutCommand",
    "Query",
    "ReportHeard",
    "ResponseFinished",
    "ResponseInterrupted",
    "ResponseStarted",
    "ResumeHandle",
    "RetrievalOutcome",
    "SessionExpiring",
    "Skipped",
    "Speak",
    "SpeechEnded",
    "SpeechStarted",
    "TimedOut",
    "ToolCall",
    "ToolCallRequested",
    "ToolCallsCancelled",
    "ToolResult",
    "ToolStarted",
    "TurnReplayed",
    "Uplink",
    "UsageReported",
    "UtteranceCleared",
    "UtterancePlayed",
    "WordsHeard",
]
