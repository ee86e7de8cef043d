"""A speech process: loads the recogniser and the voice, then answers one request after another until its input ends.

    python -m engine.speech.process WEIGHTS

Its input ends when its worker does, however that ends. So nobody has to remember to stop it, and it leaves signals to
its worker: a service manager sends SIGTERM to all at once, and the calls that are still to be finished need it.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from engine.errors import ConfigurationError, MisuseError
from engine.log import get_logger
from engine.speech import pipe
from engine.speech.recogniser import Recogniser
from engine.voice.offline import OfflineVoice

NICER = 5  # sound that is due on the line goes before a sentence that is being thought about

log = get_logger("speech.process")


def speak(voice: Callable[[str], bytes], text: str) -> bytes:
    """A voice's sound for a text; nothing for one in which nothing can be spoken, as for a blank one."""
    try:
        return voice(text)
    except ConfigurationError as error:
        log.warning("nothing is said", characters=len(text), why=type(error).__name__)
        return b""


def serve(requests: BinaryIO, answers: BinaryIO, weights: Path) -> None:
    """Answer requests until they end."""
    try:
        recogniser, voice = Recogniser.load(weights), OfflineVoice.load()
        # What is slow the first time is done before a caller waits for it.
        recogniser.read(voice.render_mulaw("Ready when you are."))
    except ConfigurationError as error:
        _send(answers, pipe.FAILED, str(error).encode())
        return
    os.nice(NICER)  # from here on: calls wait for a process that replaces another
    _send(answers, pipe.READY, b"")
    while len(head := requests.read(pipe.HEAD.size)) == pipe.HEAD.size:
        kind, size = pipe.HEAD.unpack(head)
        payload = requests.read(size)
        if len(payload) < size:
            return
        try:
            answer = _answer(kind, payload, recogniser, voice)
        except Exception as error:
            # Whatever this sound or text does to a model concerns whoever sent it: another process would fare no
            # better, and cost seconds.
            log.error("a job failed", exc_info=error)
            _send(answers, pipe.FAILED, repr(error).encode())
        else:
            _send(answers, pipe.DONE, answer)


def _answer(kind: bytes, payload: bytes, recogniser: Recogniser, voice: OfflineVoice) -> bytes:
    match kind:
        case pipe.RECOGNISE:
            draft, mulaw = pipe.apart(payload)
            reading = recogniser.read(mulaw, draft)
            return pipe.pair(reading.draft, reading.text.encode())
        case pipe.SAY:
            return speak(voice.render_mulaw, payload.decode())
        case _:
            raise MisuseError(f"no speech process knows the request {kind!r}")


def _send(answers: BinaryIO, kind: bytes, payload: bytes) -> None:
    answers.write(pipe.frame(kind, payload))
    answers.flush()


def main() -> None:
    """See the file's top."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What a library prints must not get in between answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, answers, Path(sys.argv[1]))
    except BrokenPipeError:
        os._exit(0)  # nobody is there to be answered any more


if __name__ == "__main__":
    main()
