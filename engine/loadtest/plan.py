"""What a load test is to do. PURE; travels to the child processes as JSON."""

from typing import Literal

import msgspec

Scenario = Literal["questions", "barge-in", "mixed"]
Faults = Literal["none", "cut", "stall", "slow", "refuse"]
Tools = Literal["off", "offered", "used"]
Embeddings = Literal["simulated", "offline"]
Checks = Literal["light", "strict"]

CYCLE_S = 4.0  # a turn of the caller begins so long after the one before
ANSWER_S = 1.5  # what the simulated model says to it


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One load test.

    Attributes:
        calls: on the line at once.
        ramp_s: until all of them are.
        duration_s: that so many are kept on the line, after the ramp.
        call_s: mean length of a call; whoever hangs up is followed by another. Lengths are spread by half.
        scenario: ``questions``: one every four seconds; ``barge-in``: every other answer is interrupted; ``mixed``.
        think_ms, pace: of the simulated model: until it answers, and how many times real time it sends.
        faults: of the simulated model, in every session's third turn (``refuse``: every third session).
        jitter_ms: of the network, on the caller's audio.
        generators: processes that callers are spread over.
        checks: ``strict``: callers and model are those of the tests, which look at everything; ``light``: those made
            for load, which cost a fraction (``light_model`` and ``light_voice`` say what they leave out).

    Of our own gateway only:
        workers: None: one process without a supervisor.
        memory: without a database.
        window_ms, lead_ms: of the tenant's timing; None: as shipped.
        tools: ``off``: none; ``offered``: the model knows them; ``used``: and calls one in every fourth answer.
        listener: query text from the simulated transcribe stream.
        retrieval: False: without a listener, and the simulated model writes down nothing: there is no query text.
        embeddings: ``offline``: by the model that ships with the product.
    """

    calls: int = 20
    ramp_s: float = 5.0
    duration_s: float = 30.0
    call_s: float = 60.0
    scenario: Scenario = "questions"
    think_ms: int = 250
    pace: float = 3.0
    faults: Faults = "none"
    jitter_ms: float = 0.0
    seed: int = 1
    generators: int = 1
    checks: Checks = "light"
    workers: int | None = None
    memory: bool = False
    window_ms: int | None = None
    lead_ms: int | None = None
    tools: Tools = "offered"
    listener: bool = True
    retrieval: bool = True
    embeddings: Embeddings = "simulated"

    @property
    def model_checks(self) -> Checks:
        """Of the simulated model: the light one has no faults."""
        return self.checks if self.faults == "none" else "strict"

    def share(self, index: int) -> int:
        """How many of the calls are this generator's."""
        return self.calls // self.generators + (index < self.calls % self.generators)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway that is called.

    Attributes:
        url: its public origin, by which webhooks are signed.
        voice_path: of the voice webhook.
        called: the number that is called.
        status_path: None: it is not told when a call has ended.
    """

    url: str
    account_sid: str
    auth_token: str
    called: str
    voice_path: str = "/twilio/voice"
    status_path: str | None = "/twilio/status"
