"""The failure tree, drawn once.

    FrontdeskError
    +-- ConfigurationError          we were set up wrongly: said at start, with the cure
    +-- MisuseError                 our own code broke a contract of ours: a bug; ends its call as "our fault"
    +-- RemoteError                 a peer did something it may not, or went away
        +-- ProtocolFault           it spoke wrongly; carries what to answer
        |   +-- WebSocketFault      RFC 6455 broken; carries the close code to send
        |   +-- HandshakeFault      a request head that is not one; carries the HTTP status to answer
        |   +-- MediaStreamFault    a Media Streams message that cannot be understood
        |   +-- ModelProtocolFault  the model's message cannot be understood
        +-- HandshakeRefused        a server would not open a websocket for us; carries its status and words
        +-- TokenRefused            a stream token that is not for this stream; carries why
        +-- LineLost                the phone's websocket ended (hang-up, broken, half-open)
        +-- ModelLost               the model session cannot go on; the fallback takes the floor
        |   +-- ModelRefused        the provider would not open a session
        |   |   +-- ModelBusy       it has no room for one more just now; nothing is wrong with it
        |   +-- ModelStalled        open, but silent past its deadline
        |   +-- ModelGarbled        open, but talking nonsense
        |   +-- ModelRunaway        open, but talking without end
        |   +-- ModelClosed         the connection ended (close code, reset)
        +-- CarrierError            the carrier's REST interface refused or did not answer
        +-- StoreUnavailable        the database cannot be reached now; whoever keeps something spools it
        +-- EmbedderUnavailable     a text could not be turned into a vector now
        +-- ToolFailed              a tool's endpoint may not be reached, did not answer, or answered nonsense

Who handles what: ``ProtocolFault`` at the edge that decoded the message; ``LineLost`` and ``ModelLost`` in
``call/supervisor.py``; ``CarrierError`` where the request was made; ``ToolFailed`` in
``tools/executor.py``; the first two by nobody (they are bugs or
set-up, and travel to the top of their call or of the process).  *Closed by us* is never an error.
"""

from typing import TypeVar

E = TypeVar("E", bound=Exception)


class FrontdeskError(Exception):
    """Something in Frontdesk went wrong."""


class ConfigurationError(FrontdeskError):
    """The settings or a tenant document cannot be used; the message says which value, and the cure."""


class MisuseError(FrontdeskError):
    """Code of ours used an interface of ours wrongly."""


class RemoteError(FrontdeskError):
    """A peer broke its side."""


class ProtocolFault(RemoteError):
    """A peer spoke wrongly."""


class WebSocketFault(ProtocolFault):
    """A frame that RFC 6455 forbids.

    Attributes:
        close_code: what to put into our close frame (1002 protocol, 1003 data, 1007 text, 1009 size).
        decoded: what was understood of the same bytes before the fault, as ``WebSocketCodec.receive_data`` gives it.
    """

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.decoded: tuple[tuple[int, bytes], ...] = ()


class HandshakeFault(ProtocolFault):
    """Bytes that are no HTTP request head, or one too large.

    Attributes:
        status: the HTTP status to answer with (400, 431).
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class MediaStreamFault(ProtocolFault):
    """A Media Streams message that is malformed, out of order, or for another stream.

    Attributes:
        kind: one word for counting: ``malformed``, ``oversized``, ``out_of_order``, ``wrong_stream``, ``second_start``,
            ``after_stop``, ``bad_format``, ``bad_payload`` or ``bad_digit``.
    """

    def __init__(self, message: str, kind: str = "malformed") -> None:
        super().__init__(message)
        self.kind = kind


class ModelProtocolFault(ProtocolFault):
    """A model's message that cannot be understood; a few are tolerated, many are ``ModelGarbled``."""


class HandshakeRefused(RemoteError):
    """A server did not open the websocket that we asked for.

    Attributes:
        status: what it answered; None where it answered nothing that is HTTP. 101 means that it agreed, but wrongly.
        body: the beginning of what it said about it.
    """

    def __init__(self, message: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class TokenRefused(RemoteError):
    """A stream token does not open this stream.

    Attributes:
        reason: ``malformed``, ``forged``, ``expired``, ``foreign`` (genuine, but of another call or account) or
            ``used`` (by whoever keeps ``UsedTokens``).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the stream token is {reason}")
        self.reason = reason


class LineLost(RemoteError):
    """The phone's websocket is gone.

    Attributes:
        reason: ``hang_up`` (the carrier said stop), ``broken`` (it ended without), ``silent`` (half-open),
            ``fault`` (the peer broke the protocol), ``our_fault`` (code of ours raised on the media plane) or
            ``moved`` (another worker serves the call, or is to).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ModelLost(RemoteError):
    """The model session cannot go on.

    Attributes:
        code: the websocket close code where there was one (1006: the connection just ended), else None.
        resumable: False where the provider's answer says that this context or handle must not be tried again.
    """

    kind = "lost"

    def __init__(self, message: str, *, code: int | None = None, resumable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.resumable = resumable


class ModelRefused(ModelLost):
    """No session could be opened: connection refused, handshake refused, setup refused, or too slow."""

    kind = "refused"


class ModelBusy(ModelRefused):
    """No room for one more session just now (a local model's places, a quota): the next model is asked at once."""

    kind = "busy"


class ModelStalled(ModelLost):
    """The session is open but nothing came within its deadline, or it takes nothing from us."""

    kind = "stalled"


class ModelGarbled(ModelLost):
    """The session talks what we cannot use."""

    kind = "garbled"


class ModelRunaway(ModelLost):
    """The session talks without end: too long, in circles, or in tool calls.

    Never resumable: a context in which a model has begun to loop is one in which it goes on looping.
    """

    kind = "runaway"

    def __init__(self, message: str) -> None:
        super().__init__(message, resumable=False)


class ModelClosed(ModelLost):
    """The session's connection ended without our asking."""

    kind = "closed"


class CarrierError(RemoteError):
    """The carrier's REST interface refused, or did not answer in time.

    Attributes:
        gone: True where the answer means that the call has already ended.
    """

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class ToolFailed(RemoteError):
    """A tool's endpoint could not be asked, did not answer, or answered what we cannot use.

    Attributes:
        kind: one word for counting: ``address`` (it may not be reached), ``unresolved``, ``unreached`` (no connection,
            so nothing was sent), ``lost`` (no whole answer), ``status``, ``redirect``, ``huge`` or ``garbled``.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class EmbedderUnavailable(RemoteError):
    """The embedding model cannot be asked now; the retriever tells its turn so, and ingestion stops unharmed.

    Attributes:
        retry: False where asking again cannot help (key refused, model unknown).
    """

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class StoreUnavailable(RemoteError):
    """The database cannot be reached, or went away in the middle: whether the unit of work was done is not known."""


def first_of_kind(group: BaseExceptionGroup[BaseException], kind: type[E]) -> E:
    """The first exception of that kind in a group (of groups).

    Raises:
        LookupError: there is none.
    """
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup):
            try:
                return first_of_kind(error, kind)
            except LookupError:
                continue
    raise LookupError(f"no {kind.__name__} in the group")
