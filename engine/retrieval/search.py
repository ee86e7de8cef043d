"""What a search is to the retriever. Twins: ``lexical.py`` in memory; the database's by vector."""

from typing import Protocol

from engine.messages import Passage


class Search(Protocol):
    """Finds what a business knows."""

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        """At most ``limit`` passages of this tenant that bear on ``text``, best first; empty where none does.

        May be cancelled at any time.

        Raises:
            RemoteError, OSError, trio.TooSlowError: the place where the knowledge lies cannot be reached now.
        """
