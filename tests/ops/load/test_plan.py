"""The plan of a load."""

from itertools import islice, pairwise

from shopscope_ops.load.plan import Action, plan_visits


def test_the_plan_is_a_pure_function_of_seed_and_rate():
    """The same seed and rate plan the same visits, step for step."""
    expected = list(islice(plan_visits(seed=7, rate=5.0), 200))
    assert expected == list(islice(plan_visits(seed=7, rate=5.0), 200))


def test_another_seed_plans_other_visits():
    """Two seeds share neither arrivals nor steps."""
    one, other = (next(plan_visits(seed=seed, rate=5.0)) for seed in (1, 2))
    assert one.start_seconds != other.start_seconds


def test_the_rate_changes_when_shoppers_come_and_not_what_they_do():
    """At twice the rate the same shoppers come in half the time."""
    slow, fast = (list(islice(plan_visits(seed=3, rate=rate), 50)) for rate in (4.0, 8.0))
    assert [visit.steps for visit in slow] == [visit.steps for visit in fast]
    assert [visit.start_seconds / 2 for visit in slow] == [visit.start_seconds for visit in fast]


def test_arrivals_are_poisson():
    """Gaps have the mean and the spread of an exponential distribution."""
    starts = [visit.start_seconds for visit in islice(plan_visits(seed=1, rate=10.0), 5000)]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert round(mean, 2) == 0.10
    assert round(variance**0.5 / mean, 1) == 1.0


def test_shoppers_drop_off_on_the_way():
    """Fewer shoppers reach every next stage, and some do buy."""
    visits = list(islice(plan_visits(seed=1, rate=1.0), 2000))
    stages = (Action.HOME, Action.PRODUCT, Action.ADD_TO_CART, Action.CHECKOUT)
    reached = [sum(any(step.action is stage for step in visit.steps) for visit in visits) for stage in stages]
    assert reached == sorted(set(reached), reverse=True)
    assert reached[0] == 2000
    assert reached[-1] > 200


def test_nobody_buys_before_having_put_something_into_the_cart():
    """A checkout follows an added product, which follows a product page."""
    for visit in islice(plan_visits(seed=2, rate=1.0), 500):
        actions = [step.action for step in visit.steps]
        if Action.CHECKOUT in actions:
            order = [actions.index(action) for action in (Action.PRODUCT, Action.ADD_TO_CART, Action.CHECKOUT)]
            assert order == sorted(order)


def test_without_think_time_nobody_waits():
    """A think time of zero plans steps that follow at once."""
    thinks = {step.think_seconds for visit in islice(plan_visits(1, 1.0, 0.0), 20) for step in visit.steps}
    assert thinks == {0.0}
