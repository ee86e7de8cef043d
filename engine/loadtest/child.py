"""What a child process of a load test does with its ends: one line in, lines out, and no life after its parent's."""

import os

LINE_BYTES = 65536
_STDIN, _STDOUT = 0, 1


def read_part() -> tuple[bytes, bytes]:
    """The first line, without its end, and what came with it. Blocks.

    Raises:
        SystemExit: the parent has gone before it said anything.
    """
    data = b""
    while b"\n" not in data:
        more = os.read(_STDIN, LINE_BYTES)
        if not more:
            raise SystemExit("this is started by frontdesk loadtest, which tells it what to do")
        data += more
    head, _, rest = data.partition(b"\n")
    return head, rest


def tell(message: bytes) -> None:
    """To the parent, who reads all the time: there is room for 64 KiB, and a call's figures are two."""
    while message:
        message = message[os.write(_STDOUT, message) :]


def stdin() -> int:
    """A descriptor of one's own, to be read asynchronously."""
    return os.dup(_STDIN)
