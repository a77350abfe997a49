"""Learning rate and snapshots of each epoch, against the formulas written out."""

from __future__ import annotations

import math

import pytest

from MedCLIPSAMLib.engine.errors import InputError
from MedCLIPSAMLib.weak.schedule import Schedule


@pytest.mark.parametrize(("epochs", "cycles", "gamma"), [(40, 1, 0.5), (40, 4, 0.5), (36, 3, 0.8), (4, 2, 1.0)])
def test_the_rate_falls_within_a_part_of_each_cycle(epochs, cycles, gamma):
    schedule, length = Schedule(epochs, cycles, gamma), epochs // cycles
    for epoch in range(epochs):
        step = epoch if cycles == 1 else min(epoch % length, int(gamma * length))
        assert schedule.rate(epoch) == pytest.approx(0.01 * math.pow(1 - step / epochs, 0.9), rel=1e-12)


def test_a_cycle_of_twenty_keeps_ten_late_ones_but_not_its_last():
    late = Schedule(40, 2, rule="late").snapshots()
    assert late == [f"checkpoint_{epoch}.pth" for epoch in (*range(9, 19), *range(29, 39))]


def test_sparse_ones_are_spread_over_the_end_of_each_cycle():
    # Of 7, 12.67, 18.33, 24, ... the first three lie within 20 epochs.
    assert Schedule(40, 2, rule="sparse").snapshots() == [
        f"e_checkpoint_{epoch}.pth" for epoch in (6, 11, 17, 26, 31, 37)
    ]


def test_both_is_the_one_and_the_other():
    kept = {rule: Schedule(40, 2, rule=rule).snapshots() for rule in ("late", "sparse", "both")}
    assert sorted(kept["both"]) == sorted(kept["late"] + kept["sparse"])
    assert kept["both"].index("checkpoint_11.pth") + 1 == kept["both"].index("e_checkpoint_11.pth")


def test_a_short_cycle_keeps_all_its_epochs():
    assert Schedule(2, 1, rule="late").snapshots() == ["checkpoint_0.pth", "checkpoint_1.pth"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": 10, "cycles": 3}, "multiple"),
        ({"epochs": 0}, "multiple"),
        ({"epochs": 4, "cycles": 0}, "multiple"),
        ({"gamma": 1.5}, "0 to 1"),
        ({"gamma": math.nan}, "0 to 1"),
        ({"rule": "early"}, "late, sparse, both"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        Schedule(**values)
