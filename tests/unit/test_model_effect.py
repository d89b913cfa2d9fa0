"""What a drift costs a model: the share that moved, times what a record there loses more."""

import random

import pytest

from headrace.stream_processors.steps.model_effect import Effect, Losses, effect_of


def losses(values: list[float]) -> Losses:
    mean = sum(values) / len(values)
    return Losses(mean, (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5, len(values))


def test_the_cost_is_the_part_of_the_rise_that_the_make_up_explains() -> None:
    chance = random.Random(1)
    dear, cheap = [chance.gauss(20, 3) for _ in range(3_000)], [chance.gauss(10, 3) for _ in range(9_000)]
    before = losses(dear[:500]), losses(cheap[:4_500])
    now = losses(dear[500:2_500]), losses(cheap[4_500:6_500])
    found = effect_of("delay", now, before)
    assert found is not None
    assert found.moved == pytest.approx(0.4)
    assert found.more == pytest.approx(10, abs=0.5)
    assert found.cost == pytest.approx(found.rise, rel=0.05), "nothing changed but the make-up"


def test_losses_that_rose_everywhere_are_not_put_down_to_a_drift() -> None:
    chance = random.Random(2)
    before = losses([chance.gauss(10, 3) for _ in range(500)]), losses([chance.gauss(10, 3) for _ in range(4_500)])
    now = losses([chance.gauss(15, 3) for _ in range(2_000)]), losses([chance.gauss(15, 3) for _ in range(2_000)])
    found = effect_of("delay", now, before)
    assert found is not None
    assert (found.rise > 4, found.cost) == (True, 0.0)
    assert found.spoken("mass") == "rows in the new range of mass cost delay no more than others"


def test_too_few_rows_say_nothing() -> None:
    few, many = Losses(50.0, 1.0, 29), Losses(10.0, 1.0, 4_000)
    assert effect_of("delay", (few, many), (many, many)) is None
    assert effect_of("delay", (many, many), (Losses(0.0, 0.0, 0), Losses(0.0, 0.0, 0))) is None


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Effect("d", 4.0, 0.2, 1.6), "lose 4 more each: 0.8 of the 1.6 that d lost more a record"),
        (Effect("d", 4.0, 0.2, 0.5), "lose 4 more each: 0.5 of the 0.5 that d lost more a record"),
        (Effect("d", -4.0, 0.2, 0.5), "lose 4 less each; d lost 0.5 more a record"),
        (Effect("d", 4.0, 0.2, -0.5), "lose 4 more each; d lost 0.5 less a record"),
    ],
)
def test_an_effect_is_told_in_words(effect: Effect, said: str) -> None:
    assert effect.spoken("mass") == f"rows in the new range of mass {said}"
