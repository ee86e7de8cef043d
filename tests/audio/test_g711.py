"""Mu-law against the standard's own properties, and against the classic stdlib codec where there still is one."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import g711

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(65536, dtype=np.uint16).view(np.int16)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    if sys.version_info < (3, 13):
        import audioop

needs_audioop = pytest.mark.skipif(sys.version_info >= (3, 13), reason="the stdlib codec is gone in 3.13")


@needs_audioop
def test_decoding_equals_the_stdlib_on_all_codes() -> None:
    expected = np.frombuffer(audioop.ulaw2lin(ALL_CODES, 2), dtype=np.int16)
    np.testing.assert_array_equal(g711.decode(ALL_CODES), expected)


@needs_audioop
def test_encoding_equals_the_stdlib_on_all_samples() -> None:
    assert g711.encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES.tobytes(), 2)


def test_every_code_survives_a_round_trip_but_for_minus_zero() -> None:
    again = g711.encode(g711.decode(ALL_CODES))
    assert again == ALL_CODES.replace(b"\x7f", b"\xff")


def test_known_points_of_the_standard() -> None:
    assert g711.decode(b"\x00\x80\xff\x7f").tolist() == [-32124, 32124, 0, 0]
    assert g711.encode(np.array([0, 32767, -32768], dtype=np.int16)) == b"\xff\x80\x00"


def test_louder_is_never_coded_as_softer() -> None:
    decoded = g711.decode(g711.encode(np.sort(ALL_SAMPLES)))
    assert (np.diff(decoded.astype(np.int32)) >= 0).all()


def test_coding_error_stays_within_half_a_step() -> None:
    samples = np.clip(ALL_SAMPLES.astype(np.int32), -32124, 32124)
    error = np.abs(g711.decode(g711.encode(ALL_SAMPLES)).astype(np.int32) - samples)
    half_a_step = (np.abs(samples) + 135) / 32
    assert (error <= half_a_step + 3).all()  # 3: two bits are dropped, downwards, before coding


@given(st.binary(max_size=400))
def test_one_sample_per_byte_and_strided_input_is_taken(mulaw: bytes) -> None:
    pcm = g711.decode(mulaw)
    assert pcm.dtype == np.int16
    assert pcm.shape == (len(mulaw),)
    assert g711.encode(pcm[::2]) == g711.encode(pcm[::2].copy())


def test_silence_is_zero_and_as_long_as_asked() -> None:
    assert g711.silence(20) == bytes([g711.SILENCE]) * g711.FRAME_BYTES
    assert not g711.decode(g711.silence(3)).any()
