"""How well, how fast and for how many calls does the local voice understand? Word errors, times, calls per process.

    python -m bench.local_speech [--each N] [--human DIR] [--out FILE]

*Words*: the committed questions, spoken by our own voice at three pitches, as mu-law at 8 kHz, clean and with pink
noise 10 dB below the speech. A synthetic voice is easier to understand than people are: expect two to four times the
errors from real callers. ``--human`` takes a folder of recordings, ``NAME.wav`` (8 kHz, 16 bit) beside ``NAME.txt``
(what is said in it); without it, human speech is not measured, and the report says so.

*Times*: the processor time of one recognition, and of one rendered line, one at a time.

*Calls*: synthetic calls on one process, and on two, more and more of them: how many until p95 of waiting in line passes
100 ms, and until p95 of the turn's last reading passes 400 ms, from which on callers notice. Reckoned in virtual time
from the times measured, then run in real time (``bench/local_speech_load.py``).
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import trio

from bench.local_speech_load import GOOD_ANSWER_MS, GOOD_WAIT_MS, Cost, Load, reading_lengths, reckon, run
from bench.local_speech_words import with_noise, word_error_rate
from bench.retrieval_quality import read_questions
from engine import log
from engine.audio import g711
from engine.audio.wav import read_mono
from engine.speech.recogniser import Recogniser
from engine.speech.weights import fingerprint, prepare
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from engine.voice.offline import OfflineVoice

PITCHES = (1.0, 0.86, 1.12)
SNR_DB = 10.0
RECKONED_S = 900.0
PROCESSES = (1, 2)
REFERENCE = Path(__file__).parent / "reference" / "local_speech.json"


def words(recogniser: Recogniser, said: Sequence[str], speak: Callable[[str], bytes]) -> tuple[float, list[Cost]]:
    """Word error rate, and what each took."""
    heard, times = [], []
    for text in said:
        sound = speak(text)
        began = time.process_time()
        heard.append(recogniser.read(sound).text)
        times.append((len(sound) / g711.SAMPLE_RATE_HZ, time.process_time() - began))
    return word_error_rate(said, heard), times


def synthetic(recogniser: Recogniser, cache: VoiceCache, asks: Sequence[str]) -> dict[str, Any]:
    """The questions at each pitch, clean and in noise."""
    rates: dict[str, dict[str, float]] = {"clean": {}, "noise": {}}
    times: list[Cost] = []
    rng = np.random.default_rng(1)
    for pitch in PITCHES:
        for kind in rates:

            def speak(text: str, pitch: float = pitch, *, noisy: bool = kind == "noise") -> bytes:
                sound = cache.mulaw(text, pitch=pitch)
                return with_noise(sound, SNR_DB, rng) if noisy else sound

            rate, took = words(recogniser, asks, speak)
            rates[kind][str(pitch)] = round(rate, 4)
            times += took
    cpu = sorted(1000 * used for _, used in times)
    return {
        "utterances": len(asks),
        "word_error_rate": rates,
        "utterance_s": round(sum(length for length, _ in times) / len(times), 2),
        "recognise_cpu_ms": {"p50": _at(cpu, 0.5), "p95": _at(cpu, 0.95)},
        "real_time_factor": round(sum(used for _, used in times) / sum(length for length, _ in times), 4),
    }


def human(recogniser: Recogniser, folder: Path | None, each: int) -> dict[str, Any] | None:
    """The same for recordings of people, where there are any."""
    pairs = sorted(path for path in folder.rglob("*.wav") if path.with_suffix(".txt").is_file()) if folder else []
    pairs = pairs[::each]
    if not pairs:
        return None
    said = [path.with_suffix(".txt").read_text("utf-8") for path in pairs]
    recordings = {text: g711.encode(read_mono(path)) for text, path in zip(said, pairs, strict=True)}
    rng = np.random.default_rng(1)
    clean, times = words(recogniser, said, recordings.__getitem__)
    noise, _ = words(recogniser, said, lambda text: with_noise(recordings[text], SNR_DB, rng))
    assert folder is not None
    return {
        "recordings": folder.name,
        "utterances": len(said),
        "word_error_rate": {"clean": round(clean, 4), "noise": round(noise, 4)},
        "real_time_factor": round(sum(used for _, used in times) / sum(length for length, _ in times), 4),
    }


def spoken_lines(lines: Sequence[str]) -> list[Cost]:
    """What it takes to say a sentence."""
    voice = OfflineVoice.load()
    costs = []
    for line in lines:
        began = time.process_time()
        sound = voice.render_mulaw(line)
        costs.append((len(sound) / g711.SAMPLE_RATE_HZ, time.process_time() - began))
    return costs


def growing(recogniser: Recogniser, sounds: Sequence[bytes]) -> list[Cost]:
    """What it takes to read each sound again and again while it is spoken."""
    costs = []
    for sound in sounds:
        draft = b""
        for length in reading_lengths(len(sound) / g711.SAMPLE_RATE_HZ):
            began = time.process_time()
            draft = recogniser.read(sound[: round(length * g711.SAMPLE_RATE_HZ)], draft).draft
            costs.append((length, time.process_time() - began))
    return costs


def loads(utterances: Sequence[float], readings: Sequence[Cost], said: Sequence[Cost], processes: int) -> list[Load]:
    """One more call after the other, until they wait too long for one another."""
    found: list[Load] = []
    while not found or found[-1].answer_p95_ms < GOOD_ANSWER_MS or found[-1].wait_p95_ms < GOOD_WAIT_MS:
        calls = len(found) + 1
        found.append(reckon(utterances, readings, said, calls, RECKONED_S / processes, processes=processes))
    return found


def capacity(found: Sequence[Load]) -> dict[str, Any]:
    """How many calls are within each bar, and the loads up to there."""
    waits = [each.wait_p95_ms >= GOOD_WAIT_MS for each in found]
    answers = [each.answer_p95_ms >= GOOD_ANSWER_MS for each in found]
    return {
        "wait_below_100_ms": waits.index(True),
        "reading_below_400_ms": answers.index(True),
        "reckoned": [asdict(each) for each in found],
    }


def _at(ordered: Sequence[float], part: float) -> float:
    return round(ordered[min(int(part * len(ordered)), len(ordered) - 1)], 1)


def measure(data_dir: Path, *, each: int, recordings: Path | None) -> dict[str, Any]:
    """Everything; ten minutes, or less where only some of the questions, lines and recordings are taken."""
    directory = trio.run(prepare, data_dir)
    recogniser, cache = Recogniser.load(directory), VoiceCache(data_dir / "voice")
    asks = [question.ask for question in read_questions()[0]][::each]
    lines = [script for tenant in examples.names() for script in _sentences(tenant)]
    figures = synthetic(recogniser, cache, asks)
    said = spoken_lines(lines[::each])
    rendering = sorted(1000 * used for _, used in said)
    sounds = [cache.mulaw(ask, pitch=0.86) for ask in asks]
    utterances, readings = [len(sound) / g711.SAMPLE_RATE_HZ for sound in sounds], growing(recogniser, sounds)
    calls = {str(processes): capacity(loads(utterances, readings, said, processes)) for processes in PROCESSES}
    placed = max(calls["1"]["reading_below_400_ms"], 1)
    return {
        "weights": fingerprint(),
        "each": each,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
        "versions": {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__},
        "words": figures,
        "human": human(recogniser, recordings, each),
        "say_cpu_ms": {"p50": _at(rendering, 0.5), "p95": _at(rendering, 0.95)},
        "calls_on_processes": calls,
        "run_on_one": asdict(trio.run(run, data_dir, sounds, lines, placed, max(15.0, 120.0 / each))),
    }


def _sentences(tenant: str) -> list[str]:
    return [note.text.split(". ")[0] for note in examples.load(tenant).knowledge]


def table(report: dict[str, Any]) -> str:
    """For people."""
    rates = report["words"]["word_error_rate"]
    out = [f"word error rate, {report['words']['utterances']} questions, our voice, mu-law at 8 kHz"]
    out += [
        f"  pitch {pitch:>4}   clean {rates['clean'][pitch]:6.1%}   noise at 10 dB {rates['noise'][pitch]:6.1%}"
        for pitch in rates["clean"]
    ]
    if (people := report["human"]) is None:
        out.append("  people: not measured (no recordings given)")
    else:
        rate = people["word_error_rate"]
        out.append(
            f"  {people['utterances']} recordings of people ({people['recordings']})   "
            f"clean {rate['clean']:.1%}   noise at 10 dB {rate['noise']:.1%}"
        )
    took, say = report["words"]["recognise_cpu_ms"], report["say_cpu_ms"]
    out.append(
        f"processor time: {took['p50']:.0f} ms p50, {took['p95']:.0f} ms p95 for an utterance of "
        f"{report['words']['utterance_s']:.1f} s; {say['p50']:.0f} ms p50, {say['p95']:.0f} ms p95 to say a sentence"
    )
    out.append("calls at once           wait p50, p95 (ms)   last reading p50, p95 (ms)   busy")
    rows = [("run on 1", report["run_on_one"])]
    for processes, found in report["calls_on_processes"].items():
        bars = {found["wait_below_100_ms"], found["reading_below_400_ms"], len(found["reckoned"])} - {0}
        rows += [(f"reckoned on {processes}", found["reckoned"][calls - 1]) for calls in sorted(bars)]
    for kind, each in rows:
        out.append(
            f"  {kind:<14} {each['calls']:>4}     {each['wait_p50_ms']:6.0f} {each['wait_p95_ms']:6.0f}"
            f"            {each['answer_p50_ms']:6.0f} {each['answer_p95_ms']:6.0f}             {each['busy']:4.0%}"
        )
    for processes, found in report["calls_on_processes"].items():
        out.append(
            f"on {processes}: {found['wait_below_100_ms']} calls with p95 wait below {GOOD_WAIT_MS:.0f} ms, "
            f"{found['reading_below_400_ms']} with p95 of the last reading below {GOOD_ANSWER_MS:.0f} ms"
        )
    return "\n".join(out)


def main() -> None:
    """See the file's top."""
    parser = argparse.ArgumentParser(description="Measures the local voice: words, times, calls per process.")
    parser.add_argument("--each", type=int, default=1, help="take every N-th question, line and recording")
    parser.add_argument("--human", type=Path, help="folder of recordings, NAME.wav beside NAME.txt")
    parser.add_argument(
        "--out", type=Path, help=f"where the report goes, as JSON; {REFERENCE.name} is the committed one"
    )
    parser.add_argument("--data-dir", type=Path, help="where weights and rendered lines are kept; else thrown away")
    asked = parser.parse_args()
    log.configure("ERROR")
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(asked.data_dir or Path(scratch), each=asked.each, recordings=asked.human)
    if asked.out:
        asked.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    sys.stdout.write(table(report) + "\n")


if __name__ == "__main__":
    main()
