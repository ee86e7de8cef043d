from hypothesis import given
from hypothesis import strategies as st

from engine.speech.queue import FairQueue

JOBS = st.lists(st.tuples(st.integers(0, 4), st.integers()), max_size=40)


def drained(queue: FairQueue[tuple[int, int]]) -> list[tuple[int, int]]:
    taken = []
    while (job := queue.take()) is not None:
        taken.append(job)
    return taken


def filled(jobs: list[tuple[int, int]]) -> FairQueue[tuple[int, int]]:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for job in jobs:
        queue.put(job[0], job)
    return queue


@given(JOBS)
def test_everything_put_is_taken_once(jobs: list[tuple[int, int]]) -> None:
    queue = filled(jobs)
    assert len(queue) == len(jobs)
    assert sorted(drained(queue)) == sorted(jobs)
    assert len(queue) == 0


@given(JOBS)
def test_jobs_of_one_asker_keep_their_order(jobs: list[tuple[int, int]]) -> None:
    taken = drained(filled(jobs))
    for asker in range(5):
        assert [job for job in taken if job[0] == asker] == [job for job in jobs if job[0] == asker]


@given(JOBS)
def test_nobody_is_served_twice_while_another_waits(jobs: list[tuple[int, int]]) -> None:
    taken = [asker for asker, _ in drained(filled(jobs))]
    for at, asker in enumerate(taken[:-1]):
        if taken[at + 1] == asker:  # then nobody else had anything left
            assert set(taken[at + 1 :]) == {asker}


def test_one_greedy_asker_holds_nobody_up() -> None:
    queue = filled([(0, number) for number in range(50)])
    queue.put(1, (1, 0))
    assert (1, 0) in [queue.take() for _ in range(2)]


def test_job_put_back_goes_before_all_others() -> None:
    queue = filled([(0, 1), (1, 1)])
    job = queue.take()
    assert job is not None
    queue.put_back(job)
    assert len(queue) == 2
    assert queue.take() == job


def test_discarded_job_is_never_taken() -> None:
    queue = filled([(0, 1), (0, 2), (1, 1)])
    queue.discard(0, (0, 1))
    queue.discard(1, (1, 1))
    queue.discard(7, (7, 7))
    assert len(queue) == 1
    assert drained(queue) == [(0, 2)]


def test_job_that_was_put_back_can_be_discarded() -> None:
    queue = filled([(0, 1)])
    job = queue.take()
    assert job is not None
    queue.put_back(job)
    queue.discard(0, job)
    assert len(queue) == 0
    assert queue.take() is None
