"""One business, as one frozen document. Field names are those of the tenant file (YAML or JSON)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.messages import Effect

E164 = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


ModelName = Literal["gemini-live", "openai-realtime", "local"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EndpointAuth(_Document):
    """How a tool's endpoint knows that it is us, beside the signature: a secret in a header.

    The document holds the secret's name only; the operator keeps the secret itself, for each tenant its own.
    """

    secret: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")] = "Authorization"
    scheme: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,30}$")] = "Bearer"


class ToolEndpoint(_Document):
    """Where a tool is done over HTTP; ``tools/http_request.py`` and ``http_answers.py`` say what is sent and expected.

    Attributes:
        idempotent: the endpoint does the same ``Idempotency-Key`` once, however often it is sent, and gives the same
            answer again. Only then is a write whose answer was lost sent again.
        retries: tries after the first, where repeating is safe, within the tool's ``timeout_s``.
    """

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    method: Literal["POST", "PUT", "PATCH", "GET"] = "POST"
    auth: EndpointAuth | None = None
    idempotent: bool = False
    retries: Annotated[int, Field(ge=0, le=5)] = 2


class ToolSpec(_Document):
    """One thing the receptionist can do."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    description: str
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    effect: Effect = Effect.READS
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 8.0
    filler: str = ""
    endpoint: ToolEndpoint | None = None


class Person(_Document):
    """Somebody a caller can be put through to."""

    name: str
    number: E164
    for_: Annotated[str, Field(alias="for")] = "anything"


class OwnVoice(_Document):
    """A voice of the tenant's own, that says what a model writes; where it fails the model speaks itself.

    Attributes:
        voice_id: of the service; a cloned one, or one of its stock.
        stability, similarity: 0 to 1, as the service means them; null leaves them as they are set there.
    """

    service: Literal["elevenlabs"] = "elevenlabs"
    voice_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,64}$")]
    model: str = "eleven_flash_v2_5"
    stability: Annotated[float, Field(ge=0, le=1)] | None = None
    similarity: Annotated[float, Field(ge=0, le=1)] | None = None
    speed: Annotated[float, Field(ge=0.7, le=1.2)] = 1.0


class Script(_Document):
    """What the scripted fallback says; each line is rendered to sound at set-up."""

    apology: str = "Sorry, I lost you for a second there. One moment, please."
    company: tuple[str, ...] = (
        "I'm still here, just one moment.",
        "Thank you for your patience, I'm still with you.",
    )
    offer: str = (
        "I can't look things up right now. To leave a message, press one, or just start talking after the tone."
    )
    offer_person: str = "To speak to somebody here, press two."
    message_prompt: str = "Please leave your name, your number and your message. Press any key when you are done."
    message_kept: str = "Thank you, I have kept your message and someone will call you back."
    message_empty: str = "I didn't catch anything."
    connecting: str = "I'm putting you through now."
    no_person: str = "I'm sorry, I couldn't reach anybody."
    goodbye: str = "Thank you for calling. Goodbye."
    back: str = "Thank you for waiting."
    filler: str = "Let me see."


class Quotas(_Document):
    """What one tenant may use of the machine. Over any of them a new call gets the static script; none ends a call
    but ``longest_call_minutes``. ``null`` is without a limit; 0 is refused, since a tenant without calls is not listed.

    Attributes:
        calls_per_minute: a minute's worth may come at once, and one more each time its share of a minute has passed.
        minutes_per_day: of all its calls together, of the tenant's own day (``timezone``).
        minutes_per_month: the same of its month; by the store's sum, which a worker asks for once a minute.
        longest_call_minutes: then the call ends politely; the carrier itself ends it after four hours.
    """

    concurrent_calls: Annotated[int, Field(gt=0)] = 50
    calls_per_minute: Annotated[int, Field(gt=0)] | None = 300
    minutes_per_day: Annotated[int, Field(gt=0)] | None = None
    minutes_per_month: Annotated[int, Field(gt=0)] | None = None
    longest_call_minutes: Annotated[int, Field(gt=0, le=240)] = 120


class Timing(_Document):
    """A call's patience; every default has its reason in the design or in ``bench/``."""

    endpointing_ms: Annotated[int, Field(ge=200, le=2000)] = 500
    # "Mm-hm", "right", "okay" are 340 to 480 ms of loud sound on the line: after what is shorter than this the agent
    # goes on. It falls silent sooner, at the first suspicion, so a longer time costs a barge-in nothing.
    barge_in_ms: Annotated[int, Field(ge=60, le=2000)] = 540
    retrieval_budget_ms: Annotated[int, Field(ge=0, le=2000)] = 250
    lead_ms: Annotated[int, Field(ge=60, le=1000)] = 400
    window_ms: Annotated[int, Field(ge=20, le=250, multiple_of=20)] = 100
    # With endpointing, retrieval's budget and the network before it, the caller waits two seconds at most.
    filler_after_ms: Annotated[int, Field(ge=500, le=10_000)] = 900
    # Company comes meanwhile, and the model is asked twice again (``model/liveness.py``): each try needs its second.
    stall_after_ms: Annotated[int, Field(ge=1000, le=30_000)] = 5000

    @model_validator(mode="after")
    def _filler_comes_before_the_stall(self) -> Self:
        if self.filler_after_ms >= self.stall_after_ms:
            raise ValueError(
                "filler_after_ms must be less than stall_after_ms: a filler is said while there is still hope"
            )
        return self


class RecordingRule(_Document):
    """Whether calls are recorded. Only of a caller who has heard ``recording_consent``."""

    enabled: bool = False


class KnowledgeNote(_Document):
    """A piece of knowledge written straight into the tenant document."""

    source: str
    text: str


class Tenant(_Document):
    """A business that Frontdesk answers for.

    Attributes:
        voice: Gemini's name of one; ``openai_voice`` is OpenAI's.
        own_voice: says what OpenAI's model writes; other models speak with their own.
        models: which speaks first, and who follows when one is lost; those that the operator has not set up are
            passed over.
        recording_consent: what a caller is told after the greeting, where calls are recorded.
    """

    id: Slug
    name: str
    numbers: tuple[E164, ...] = ()
    greeting: str
    persona: str = "You are a friendly, brief receptionist."
    language: str = "en-US"
    voice: str = "Kore"
    openai_voice: str = "marin"
    own_voice: OwnVoice | None = None
    models: tuple[ModelName, ...] = ("gemini-live", "openai-realtime", "local")
    timezone: str = "UTC"
    hours: dict[str, str] = Field(default_factory=dict)
    knowledge: tuple[KnowledgeNote, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    people: tuple[Person, ...] = ()
    script: Script = Script()
    quotas: Quotas = Quotas()
    timing: Timing = Timing()
    recording: RecordingRule = RecordingRule()
    recording_consent: str = ""
    retention_days: Annotated[int, Field(ge=0)] = 30

    @model_validator(mode="after")
    def _who_is_recorded_is_told(self) -> Self:
        if self.recording.enabled and not self.recording_consent.strip():
            raise ValueError("recording.enabled needs recording_consent: the sentence that callers are told of it by")
        return self

    @property
    def opening_words(self) -> str:
        """What a call begins with: the greeting, and the word that it is recorded where it is."""
        return f"{self.greeting} {self.recording_consent}" if self.recording.enabled else self.greeting
