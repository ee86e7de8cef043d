"""A speech process without a model: does what it is told, in the pipe's own words. Starts in an instant.

Its sound to recognise is an order: ``hear TEXT``, ``nap SECONDS``, ``die``, ``die PATH`` (once: it leaves a file
there), ``hang``, ``nonsense``. It answers with TEXT, PATH, or else its own process id and the draft. Where the file
named as its argument exists, it cannot start.
"""

import os
import signal
import sys
import time
from pathlib import Path

from engine.speech import pipe


def obey(order: str) -> str:
    word, _, rest = order.partition(" ")
    match word:
        case "nap":
            time.sleep(float(rest))
            return ""
        case "die":
            if not rest or not Path(rest).exists():
                if rest:
                    Path(rest).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "nonsense":
            os.write(1, b"?" * 64)
    return rest


def main() -> None:
    if any(Path(name).exists() for name in sys.argv[1:]):
        os.write(1, pipe.frame(pipe.FAILED, b"no weights here"))
        return
    os.write(1, pipe.frame(pipe.READY))
    while head := sys.stdin.buffer.read(pipe.HEAD.size):
        kind, size = pipe.HEAD.unpack(head)
        content = sys.stdin.buffer.read(size)
        if kind == pipe.RECOGNISE:
            draft, order = pipe.apart(content)
            text = obey(order.decode()) or f"{os.getpid()} {draft.decode()}".strip()
            os.write(1, pipe.frame(pipe.DONE, pipe.pair(b"draft", text.encode())))
        else:
            os.write(1, pipe.frame(pipe.DONE, content))


main()
