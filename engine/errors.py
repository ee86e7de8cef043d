"""The failure tree, drawn once.

    FrontdeskError
    +-- ConfigurationError          we were set up wrongly: said at start, with the cure
    +-- MisuseError                 our own code broke a contract of ours: a bug; ends its call as "our fault"
    +-- RemoteError                 a peer did something it may not, or went away
        +-- ProtocolFault           it spoke wrongly; carries what to answer
        |   +-- WebSocketFault      RFC 6455 broken; carries the close code to send
        |   +-- MediaStreamFault    a Media Streams message that cannot be understood
        |   +-- ModelProtocolFault  the model's message cannot be understood
        +-- LineLost                the phone's websocket ended (hang-up, broken, half-open)
        +-- ModelLost               the model session cannot go on; the fallback takes the floor
        |   +-- ModelRefused        the provider would not open a session
        |   +-- ModelStalled        open, but silent past its deadline
        |   +-- ModelGarbled        open, but talking nonsense
        |   +-- ModelClosed         the connection ended (close code, reset)
        +-- CarrierError            the carrier's REST interface refused or did not answer

Who handles what: ``ProtocolFault`` at the edge that decoded the message; ``LineLost`` and ``ModelLost`` in
``call/supervisor.py``; ``CarrierError`` where the request was made; the first two by nobody (they are bugs or
set-up, and travel to the top of their call or of the process).  *Closed by us* is never an error.
"""


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
    """

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code


class MediaStreamFault(ProtocolFault):
    """A Media Streams message that is malformed, out of order, or for another stream."""


class ModelProtocolFault(ProtocolFault):
    """A model's message that cannot be understood; a few are tolerated, many are ``ModelGarbled``."""


class LineLost(RemoteError):
    """The phone's websocket is gone.

    Attributes:
        reason: ``hang_up`` (the carrier said stop), ``broken`` (it ended without), ``silent`` (half-open),
            ``fault`` (the peer broke the protocol) or ``our_fault`` (code of ours raised on the media plane).
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


class ModelStalled(ModelLost):
    """The session is open but nothing came within its deadline, or it takes nothing from us."""

    kind = "stalled"


class ModelGarbled(ModelLost):
    """The session talks what we cannot use."""

    kind = "garbled"


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
