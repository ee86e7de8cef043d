"""What a gateway that is started as a process needs from whoever starts it: an environment, and ports."""

import os
import socket
from collections.abc import Mapping

from engine.config import PREFIX


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """For a gateway in a process of its own: these settings, and none that this process was given."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return others | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


def free_ports(count: int) -> list[int]:
    """The first anywhere; the others in a row. Free now, which is the best that can be known."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as public, socket.create_server(("127.0.0.1", 0)) as first:
            base = first.getsockname()[1]
            row = range(base, base + count - 1)
            if public.getsockname()[1] not in row and all(_is_free(port) for port in row[1:]):
                return [public.getsockname()[1], *row]


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
