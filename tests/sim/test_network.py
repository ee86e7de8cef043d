"""The seeded way between caller and server."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.sim.network import Network, NullNetwork


def carried(network: Network, frames: int = 500) -> list[float | None]:
    return [network.media(n * 0.02) for n in range(frames)]


@given(st.integers(0, 2**32), st.floats(0, 100), st.floats(0, 60), st.floats(0, 1), st.floats(0, 1))
def test_nothing_overtakes_and_nothing_is_early(
    seed: int, delay_ms: float, jitter_ms: float, hold: float, loss: float
) -> None:
    network = Network(seed, delay_ms=delay_ms, jitter_ms=jitter_ms, hold_probability=hold, loss_probability=loss)
    sent = [(n * 0.02, at) for n, at in enumerate(carried(network, 100)) if at is not None]
    assert all(at >= due + delay_ms / 1000 for due, at in sent)
    assert all(sooner <= later for (_, sooner), (_, later) in pairwise(sent))
    assert all(at <= due + (delay_ms + jitter_ms + 250) / 1000 + 1e-9 for due, at in sent), "no hold is longer"


def test_the_same_seed_gives_the_same_call() -> None:
    first, second, other = (carried(Network(seed, jitter_ms=20, hold_probability=0.1)) for seed in (1, 1, 2))
    assert first == second != other


def test_holds_end_in_bursts() -> None:
    sent = [at for at in carried(Network(3, hold_probability=0.05)) if at is not None]
    gaps = [later - sooner for sooner, later in pairwise(sent)]
    assert 0.1 < max(gaps) <= 0.27
    assert gaps.count(0) > 5


def test_loss_takes_about_its_share() -> None:
    assert 60 < carried(Network(4, loss_probability=0.2)).count(None) < 140


def test_a_key_waits_behind_held_frames() -> None:
    network = Network(5, hold_probability=1.0)
    held = network.media(0.0)
    assert held is not None
    assert network.control(0.001) == held


def test_without_a_network_all_leaves_at_once() -> None:
    assert (NullNetwork().media(1.5), NullNetwork().control(2.5)) == (1.5, 2.5)
