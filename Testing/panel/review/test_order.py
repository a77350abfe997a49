"""The way through the slices: the least sure first, each once, and back."""

from __future__ import annotations

import pytest


@pytest.fixture
def order(app):
    from MedCLIPSAMLib.panel.review.order import Order

    return Order([7, 3, 5, 4, 6])


def test_it_goes_on_to_what_was_not_seen_and_back_to_what_is_less_sure(order):
    assert (order.next, order.less_sure, order.seen) == (7, None, 0)
    for index in (7, 3, 5):
        assert order.next == index
        order.look_at(index)
    assert (order.less_sure, order.seen) == (3, 3)
    order.look_at(3)
    assert (order.less_sure, order.next, order.seen) == (7, 4, 3)
    order.look_at(7)
    assert order.less_sure is None


def test_what_is_looked_at_by_other_ways_or_corrected_is_seen(order):
    order.look_at(99)
    assert order.seen == 0
    order.look_at(3)
    order.correct([7, 5, 42])
    assert (order.next, order.seen) == (4, 3)
    order.look_at(4)
    order.look_at(6)
    assert order.next is None
    assert order.seen == len(order) == 5


def test_a_tenth_is_marked_and_three_at_least(order):
    from MedCLIPSAMLib.panel.review.order import Order

    assert order.marked == {7, 3, 5}
    assert Order(range(200)).marked == set(range(20))
    assert Order([2]).marked == {2}
