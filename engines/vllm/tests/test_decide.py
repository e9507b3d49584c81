"""How much is offered to the engine: adapted to acceptance and to what a row costs."""

from __future__ import annotations

import random

import pytest

from picospec_vllm.acceptance import LAST_REST_STEPS, Acceptance
from picospec_vllm.decide import Candidate, decide
from picospec_vllm.step_cost import AGE_STEPS, StepCost, bucket


def known_cost(each_token: float, most: int = 80) -> StepCost:
    cost = StepCost()
    for tokens in range(1, most):
        cost.record(tokens, 1 + each_token * (tokens - 1))
    return cost


def sure(rate: float) -> Acceptance:
    return Acceptance(rate, judged=100)


def test_takes_all_of_a_good_source_and_nothing_of_a_useless_one() -> None:
    cost = known_cost(0.05)
    assert decide([Candidate(8, sure(0.95))], 1, cost) == [8]
    assert decide([Candidate(8, sure(0.02))], 1, cost) == [0]


def test_takes_fewer_where_a_row_costs_more() -> None:
    counts = [decide([Candidate(8, sure(0.7))], 1, known_cost(slope))[0] for slope in (0.001, 0.05, 0.2, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 8
    assert counts[-1] == 0


def test_gives_drafts_to_the_rows_whose_drafts_are_accepted() -> None:
    counts = decide([Candidate(8, sure(0.9)), Candidate(8, sure(0.3))], 4, known_cost(0.05))
    assert counts[0] > counts[1]


def test_gives_no_more_than_there_is() -> None:
    assert decide([Candidate(2, sure(1.0)), Candidate(0, sure(1.0))], 2, StepCost()) == [2, 0]


def test_tries_a_source_that_rests_now_and_then() -> None:
    acceptance, cost = sure(0.01), known_cost(0.05)
    counts = [decide([Candidate(8, acceptance)], 1, cost)[0] for _ in range(1000)]
    assert 1000 / LAST_REST_STEPS <= sum(counts) < 50
    assert max(counts) == 1


@pytest.mark.parametrize("slope", [0.001, 0.05, 0.15])
def test_a_useless_source_costs_less_than_2_percent_of_200_steps(slope: float) -> None:
    cost, acceptance = StepCost(), Acceptance.of_session()
    took = 0.0
    for _ in range(200):
        count = decide([Candidate(8, acceptance)], 1, cost)[0]
        step = 1 + slope * count
        took += step
        cost.record(1 + count, step)
        if count:
            acceptance.judge(0, count)
    assert 200 / took > 0.98


def test_follows_a_source_that_becomes_good_seed_3() -> None:
    source, cost, acceptance = random.Random(3), known_cost(0.05), sure(0.01)
    counts = []
    for _ in range(100):
        count = decide([Candidate(8, acceptance)], 1, cost)[0]
        counts.append(count)
        accepted = 0
        while accepted < count and source.random() < 0.95:
            accepted += 1
        if count:
            acceptance.judge(accepted, count)
    assert sum(counts[-20:]) / 20 > 6


def test_many_rows_are_decided_at_once() -> None:
    counts = decide([Candidate(8, sure(0.9)) for _ in range(64)], 64, known_cost(0.001, 600))
    assert counts == [8] * 64


def test_acceptance_counts_what_was_judged() -> None:
    acceptance = Acceptance(0.5)
    acceptance.judge(2, 8)
    assert acceptance.judged == 3
    acceptance.judge(8, 8)
    assert acceptance.judged == 11


def test_buckets_are_exact_for_few_tokens_and_rise() -> None:
    assert [bucket(tokens) for tokens in range(1, 17)] == list(range(1, 17))
    buckets = [bucket(tokens) for tokens in range(1, 5000)]
    assert buckets == sorted(buckets)
    assert all(b <= t < b * 1.15 + 1 for t, b in enumerate(buckets, start=1))


def test_cost_rises_with_tokens_though_measurements_are_noisy_seed_4() -> None:
    source, cost = random.Random(4), StepCost()
    for _ in range(500):
        tokens = source.randrange(1, 12)
        cost.record(tokens, (1 + 0.05 * tokens) * source.uniform(0.7, 1.5))
    times = [cost.relative(tokens, 1) for tokens in range(1, 16)]
    assert times == sorted(times)


def test_cost_forgets_what_was_measured_long_ago() -> None:
    cost = StepCost()
    cost.record(9, 100.0)
    for _ in range(AGE_STEPS - 1):
        cost.record(1, 1.0)
    assert cost.relative(9, 1) > 50
    cost.record(1, 1.0)
    assert cost.relative(9, 1) < 2


def test_a_disturbed_step_counts_little() -> None:
    cost = StepCost()
    cost.record(1, 1.0)
    cost.record(1, 1000.0)
    assert cost.relative(1, 1) < 1.2
