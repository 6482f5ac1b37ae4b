"""Schedules: within Graham's bound of the best division, equal on every computer, every job once."""

import itertools
import random

import pytest

from study.design.schedule import enough_machines, longest_first, makespan


def best(lengths, machines):
    """Least makespan of any division, by trying all."""

    def span(place):
        ends = [0.0] * machines
        for length, machine in zip(lengths, place, strict=True):
            ends[machine] += length
        return max(ends)

    return min(map(span, itertools.product(range(machines), repeat=len(lengths))))


@pytest.mark.parametrize("machines", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_it_is_within_grahams_bound_of_the_best(machines, seed):
    numbers = random.Random(seed)
    lengths = [numbers.choice([0, 1, 2, 3, 5, 7, 11, 30]) for _ in range(numbers.randint(1, 7))]
    found = makespan({f"{place}": float(length) for place, length in enumerate(lengths)}, machines)
    least = best(lengths, machines)
    assert least <= found <= (4 / 3 - 1 / (3 * machines)) * least


def test_the_bound_is_reached_by_grahams_example():
    """On two machines 7 in place of 6: what is left for the jobs of 2 after one of 3 on each."""
    lengths = {"a": 3.0, "b": 3.0, "c": 2.0, "d": 2.0, "e": 2.0}
    assert best(list(lengths.values()), 2) == 6
    assert makespan(lengths, 2) == pytest.approx((4 / 3 - 1 / 6) * 6)


@pytest.mark.parametrize("machines", [1, 2, 5, 40])
def test_every_job_is_taken_once_longest_first_whatever_the_order_of_the_mapping(machines):
    numbers = random.Random(1)
    lengths = {f"{place:02}": float(numbers.randint(0, 9)) for place in range(30)}
    taken = longest_first(lengths, machines)
    assert sorted(itertools.chain(*taken)) == sorted(lengths)
    assert all(
        [lengths[name] for name in names] == sorted((lengths[name] for name in names), reverse=True) for names in taken
    )
    shuffled = dict(numbers.sample(sorted(lengths.items()), len(lengths)))
    assert longest_first(shuffled, machines) == taken


def test_jobs_of_no_length_are_spread_as_well():
    assert sorted(map(len, longest_first(dict.fromkeys("abcdefg", 0.0), 3))) == [2, 2, 3]


@pytest.mark.parametrize("seed", range(20))
def test_enough_machines_end_with_the_longest_job_and_one_fewer_do_not(seed):
    rng = random.Random(seed)
    lengths = {str(number): rng.choice([1.0, 2.0, 3.0, 5.0, 5.5]) for number in range(12)}
    number = enough_machines(lengths)
    assert makespan(lengths, number) == max(lengths.values())
    assert number == 1 or makespan(lengths, number - 1) > max(lengths.values())
