"""How many calls does one speech process serve well? The load of ``bench.local_speech``.

A synthetic call speaks one of the questions, at the pace of its own sound. Meanwhile it has its words read as the local
model does: after ``FIRST_S``, then whenever ``STEP_S`` or a quarter of all has been added, and when it is done. The
answer is spoken sentence by sentence, each a new one (nothing is remembered), and listened to; a breath, and again.

``reckon`` lets such calls wait for one another in virtual time, each job taking as long as measured on an idle
processor: the same figures on whatever machine, and ten minutes in a second. ``run`` is the same in real time with a
real process, to see that the reckoning is right; a machine that does other things meanwhile makes it worse.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trio
from trio.testing import MockClock

from engine.audio import g711
from engine.errors import ModelLost
from engine.speech.interface import Speech
from engine.speech.pool import open_speech
from engine.speech.statistics import SpeechCounts, SpeechStatistics

FIRST_S, STEP_S, STEP_SHARE = 0.8, 1.0, 0.25
ENDPOINTING_S = 0.2  # into the silence, the last reading is asked for
BREATH_S = (0.3, 1.5)
SENTENCES = 2
GOOD_WAIT_MS = 100.0  # p95 of what any job waits in line
GOOD_ANSWER_MS = 400.0  # p95 of the last reading: it is begun in the silence, and hides in the rest of endpointing
HAND_OVER_S = 0.001  # to a process and back, measured

Cost = tuple[float, float]
"""How long a sound is, and what understanding or rendering it took of the processor; seconds."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many calls on one process: what its jobs waited."""

    calls: int
    jobs: int
    wait_p50_ms: float
    wait_p95_ms: float
    answer_p50_ms: float  # from the end of speech's last reading being asked for, to its text
    answer_p95_ms: float
    busy: float
    lost: int


def reading_lengths(whole_s: float) -> list[float]:
    """How much of an utterance each reading hears where none is late."""
    lengths = []
    at = FIRST_S
    while at < whole_s:
        lengths.append(at)
        at += max(STEP_S, STEP_SHARE * at)
    return [*lengths, whole_s]


def reckon(
    utterances: Sequence[float],
    readings: Sequence[Cost],
    said: Sequence[Cost],
    calls: int,
    seconds: float,
    *,
    processes: int = 1,
) -> Load:
    """In virtual time.

    Args:
        utterances: how long callers speak, in seconds.
        readings: of growing sounds; what one takes is read off the line through them, and spread as they are.
        said: lines that answer.
        calls: at once.
        seconds: of virtual time.
        processes: that share the work.
    """

    async def main() -> Load:
        speech = ReckonedSpeech(readings, said, processes)
        sounds = [bytes(int(length * g711.SAMPLE_RATE_HZ)) for length in utterances]
        answers, _ = await _drive(speech, sounds, ["-"], calls, seconds)
        return _summed_up(speech.statistics(), answers, calls)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


async def run(data_dir: Path, sounds: Sequence[bytes], lines: Sequence[str], calls: int, seconds: float) -> Load:
    """In real time, on a process of their own."""
    async with open_speech(data_dir, processes=1, calls=calls) as speech:
        answers, lost = await _drive(speech, sounds, lines, calls, seconds)
        return _summed_up(speech.statistics(), answers, calls, lost)


class ReckonedSpeech:
    """``Speech`` that only takes its time; one job after the other."""

    def __init__(self, readings: Sequence[Cost], said: Sequence[Cost], processes: int) -> None:
        lengths, used = np.array(readings).T
        self._slope, self._base = (float(part) for part in np.polyfit(lengths, used, 1))
        self._spread = [cost / (self._base + self._slope * length) for length, cost in readings]
        self._said = said
        self._processes = trio.CapacityLimiter(processes)
        self._counts = SpeechCounts(trio.current_time())
        self._rng = random.Random(1)

    @contextmanager
    def admit(self) -> Iterator[None]:
        yield

    async def recognise(self, mulaw: bytes) -> str:
        line = self._base + self._slope * len(mulaw) / g711.SAMPLE_RATE_HZ
        await self._take(line * self._rng.choice(self._spread))
        return "-"

    async def say(self, text: str) -> bytes:  # noqa: ARG002 - as long as any
        length, cost = self._rng.choice(self._said)
        await self._take(cost)
        return bytes(int(length * g711.SAMPLE_RATE_HZ))

    def statistics(self) -> SpeechStatistics:
        return self._counts.sum_up(
            now=trio.current_time(), processes=int(self._processes.total_tokens), calls=0, places=0, waiting=0
        )

    async def _take(self, seconds: float) -> None:
        asked_at = trio.current_time()
        async with self._processes:
            self._counts.waited(trio.current_time() - asked_at)
            await trio.sleep(seconds + HAND_OVER_S)
            self._counts.worked(seconds)
            self._counts.done += 1


async def _drive(
    speech: Speech, sounds: Sequence[bytes], lines: Sequence[str], calls: int, seconds: float
) -> tuple[list[float], int]:
    """What each last reading took in seconds, and how many calls were lost to overload."""
    answers: list[float] = []
    lost = 0

    async def call(number: int) -> None:
        nonlocal lost
        rng = random.Random(number)
        await trio.sleep(rng.uniform(0, 8.0))
        with speech.admit():
            while True:
                try:
                    answers.append(await _turn(speech, rng.choice(sounds)))
                    for _ in range(SENTENCES):
                        # A number makes it another sentence, so that none is remembered.
                        reply = await speech.say(f"{rng.choice(lines)} {rng.randrange(100, 1000)}.")
                        await trio.sleep(len(reply) / g711.SAMPLE_RATE_HZ)
                except ModelLost:
                    lost += 1
                await trio.sleep(rng.uniform(*BREATH_S))

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for number in range(calls):
                nursery.start_soon(call, number)
    return answers, lost


async def _turn(speech: Speech, sound: bytes) -> float:
    """Speak, having it read meanwhile, one reading at a time; what the last one took."""
    whole_s, read_s, began_at = len(sound) / g711.SAMPLE_RATE_HZ, 0.0, trio.current_time()
    while (due_s := read_s + (max(STEP_S, STEP_SHARE * read_s) if read_s else FIRST_S)) < whole_s:
        await trio.sleep_until(began_at + due_s)  # passed already where the reading before took long
        read_s = min(trio.current_time() - began_at, whole_s)
        await speech.recognise(sound[: int(read_s * g711.SAMPLE_RATE_HZ)])
    await trio.sleep_until(began_at + whole_s + ENDPOINTING_S)
    asked_at = trio.current_time()
    await speech.recognise(sound)
    return trio.current_time() - asked_at


def _summed_up(counted: SpeechStatistics, answers: list[float], calls: int, lost: int = 0) -> Load:
    ordered = sorted(answers)
    return Load(
        calls=calls,
        jobs=counted.done,
        wait_p50_ms=round(counted.wait_p50_ms or 0.0, 1),
        wait_p95_ms=round(counted.wait_p95_ms or 0.0, 1),
        answer_p50_ms=round(1000 * ordered[len(ordered) // 2], 1),
        answer_p95_ms=round(1000 * ordered[int(0.95 * len(ordered))], 1),
        busy=round(counted.busy, 3),
        lost=lost,
    )
