from engine.sim.moods import Cut, MoodSchedule, Refuse, Rule, Silent, Slow


def test_a_rule_is_used_up_once_by_its_kind() -> None:
    schedule = MoodSchedule(Rule(Slow(2.0)), Rule(Cut(1011)))
    assert schedule.take(Cut, 1, 1) == Cut(1011)
    assert schedule.take(Cut, 1, 1) is None
    assert schedule.take(Slow, 1, 1) == Slow(2.0)
    assert schedule.left == ()


def test_a_rule_waits_for_its_connection_and_turn() -> None:
    schedule = MoodSchedule(Rule(Silent(), connection=2, turn=3))
    assert [schedule.take(Silent, *at) for at in ((1, 3), (2, 2), (3, 3))] == [None] * 3
    assert schedule.take(Silent, 2, 3) == Silent()


def test_a_rule_without_a_turn_waits_for_the_first_commit() -> None:
    schedule = MoodSchedule(Rule(Cut()), Rule(Refuse()), Rule(Slow(1.0), turn=0))
    assert schedule.take(Cut, 1, 0) is None
    assert schedule.take(Refuse, 1, 0) == Refuse()
    assert schedule.take(Slow, 1, 0) == Slow(1.0)
    assert schedule.take(Cut, 1, 1) == Cut()


def test_the_oldest_rule_that_fits_comes_first() -> None:
    schedule = MoodSchedule()
    schedule.add(Rule(Slow(1.0), turn=2))
    schedule.add(Rule(Slow(2.0)))
    schedule.add(Rule(Slow(3.0)))
    assert [schedule.take(Slow, 1, turn) for turn in (1, 2, 3, 4)] == [Slow(2.0), Slow(1.0), Slow(3.0), None]


def test_a_rule_may_act_several_times_or_always() -> None:
    twice = MoodSchedule(Rule(Refuse(), times=2))
    assert [twice.take(Refuse, n, 0) is None for n in (1, 2, 3)] == [False, False, True]
    always = MoodSchedule(Rule(Refuse(), times=None))
    assert all(always.take(Refuse, n, 0) for n in range(1, 20))
    assert len(always.left) == 1
