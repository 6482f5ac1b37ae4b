"""Threads of a training that wait for each other, by clocks that are set by hand."""

import logging

import pytest
import torch

from study.run.training import contention
from study.run.training.contention import PERIODS, Contention


@pytest.fixture
def threads(monkeypatch):
    """The numbers of torch's threads, the last of which holds; two at first."""
    numbers = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: numbers[-1])
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    return numbers


class Clocks:
    """A wall clock and a processor's."""

    def __init__(self, device: str = "cpu") -> None:
        self.wall = self.processor = 100.0
        self.watched = Contention(torch.device(device), lambda: self.wall, lambda: self.processor)

    def pass_by(self, *shares: float, seconds: float = 1.25) -> None:
        """A period for each of the ``shares`` of a core that the process had in it."""
        for share in shares:
            self.wall += seconds
            self.processor += share * seconds
            self.watched.look()


def test_threads_that_wait_are_given_up_once_and_it_is_said(threads, caplog):
    clocks = Clocks()
    with caplog.at_level(logging.WARNING, logger=contention.__name__):
        clocks.pass_by(*[0.02] * (PERIODS - 1))
        assert (threads, caplog.messages) == ([2], [])
        clocks.pass_by(*[0.02] * 3 * PERIODS)
    assert threads == [2, 1]
    (message,) = caplog.messages
    assert "2 threads" in message
    assert "2 % of one core" in message


@pytest.mark.parametrize(
    "shares",
    [[1.9] * 20, [0.6] * 20, ([0.02] * (PERIODS - 1) + [1.0]) * 5],
    ids=["busy", "one of two", "now and then"],
)
def test_threads_that_work_are_kept(threads, shares):
    Clocks().pass_by(*shares)
    assert threads == [2]


def test_a_computer_that_slept_is_no_contention(threads):
    clocks = Clocks()
    clocks.pass_by(1.9)
    clocks.pass_by(0.0, seconds=30_000.0)
    clocks.pass_by(*[1.9] * 5)
    assert threads == [2]


def test_short_looks_add_up_to_periods(threads):
    clocks = Clocks()
    clocks.pass_by(*[0.02] * 5 * (PERIODS - 1), seconds=0.25)
    assert threads == [2]
    clocks.pass_by(*[0.02] * 5, seconds=0.25)
    assert threads == [2, 1]


def test_one_thread_has_nobody_to_wait_for(threads, caplog):
    threads.append(1)
    Clocks().pass_by(*[0.02] * 20)
    assert threads == [2, 1]
    assert not caplog.messages


def test_a_training_on_a_gpu_waits_for_that(threads):
    Clocks("cuda").pass_by(*[0.02] * 20)
    assert threads == [2]
