"""Short lines of our own for a caller who would wait in silence: "Let me see.", then that we are still there."""

from engine.call.channels import Filler
from engine.fallback.prompts import Prompts
from engine.tenants.tenant import Tenant

BYTES_PER_S = 8000


class Company:
    """Says them in turn through a call; none while the agent is being heard."""

    def __init__(self, tenant: Tenant, prompts: Prompts, filler: Filler) -> None:
        self._script = tenant.script
        self._prompts = prompts
        self._filler = filler
        self._kept = 0
        self._begun = False

    def new_wait(self) -> None:
        """What comes next is waited for anew: it begins with "Let me see."."""
        self._begun = False

    def keep(self, *, begins: bool) -> float:
        """Say what is fit now: where a wait begins, "Let me see."; later in it, that we are still there.

        Returns the seconds it takes to say, 0.0 where it was not said.
        """
        if self._begun or not begins:
            return self.still_there()
        said_s = self._say(self._script.filler, self._prompts.filler)
        self._begun = said_s > 0
        return said_s

    def still_there(self) -> float:
        """We are; returns as ``keep``."""
        number = self._kept % len(self._prompts.company)
        said_s = self._say(self._script.company[number], self._prompts.company[number])
        self._kept += said_s > 0
        return said_s

    def say_prompt(self, text: str) -> float:
        """A tool's own line, rendered at set-up; returns as ``keep``."""
        return self._say(text, self._prompts.fillers.get(text, b""))

    def _say(self, text: str, mulaw: bytes) -> float:
        return len(mulaw) / BYTES_PER_S if self._filler.say(text, mulaw) else 0.0
