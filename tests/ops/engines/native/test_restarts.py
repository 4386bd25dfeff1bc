"""When a component that ended is started again."""

from shopscope_ops.engines.native._restarts import Restarts


class Clock:
    """Time that the test moves."""

    def __init__(self):
        self.now = 0.0


def test_each_restart_waits_twice_as_long_up_to_a_minute():
    """A component that cannot run must not take the machine's time from those that can."""
    clock = Clock()
    restarts = Restarts(lambda: clock.now)
    waits = []
    for _ in range(9):
        sentence = restarts.ended("loki", 1)
        waits.append(sentence.rsplit(" in ", 1)[1])
        begin = clock.now
        while not restarts.due():
            clock.now += 0.5
        assert f"{clock.now - begin:.0f} s" == waits[-1]
    assert ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s", "60 s"] == waits


def test_a_component_that_ran_well_is_started_again_at_once():
    """What happened hours ago is forgiven; the sentence says how it ended."""
    clock = Clock()
    restarts = Restarts(lambda: clock.now)
    restarts.ended("loki", 1)
    restarts.ended("loki", 1)
    clock.now = 1000.0
    assert "loki was killed by SIGKILL; it is started again in 1 s" == restarts.ended("loki", -9)


def test_each_is_named_once_when_it_is_due():
    """Others wait their own time."""
    clock = Clock()
    restarts = Restarts(lambda: clock.now)
    restarts.ended("tempo", 0)
    assert [] == restarts.due()
    clock.now = 0.5
    restarts.ended("loki", 0)
    clock.now = 1.0
    assert (["tempo"], []) == (restarts.due(), restarts.due())
    clock.now = 1.5
    assert ["loki"] == restarts.due()
