import pickle
import threading

import pytest

from drumblender.data.streams.ahead import ReadAhead


class Getter:
    """Doubles numbers, and says which ones."""

    def __init__(self):
        self.got = []
        self.changed = threading.Condition()

    def wait_for(self, count):
        """Return when so many things were asked for."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, timeout=60)

    def __call__(self, number):
        with self.changed:
            self.got.append(number)
            self.changed.notify_all()
        if number < 0:
            raise ValueError(number)
        return 2 * number


def test_things_come_in_any_order_and_each_is_got_once():
    get = Getter()
    ahead = ReadAhead(get, most=4, threads=3)
    ahead.expect(range(20))
    order = [3, 0, 1, 2, *range(19, 3, -1)]
    assert [ahead.take(number) for number in order] == [2 * number for number in order]
    assert sorted(get.got) == list(range(20))


def test_no_more_is_got_ahead_than_may_wait():
    get = Getter()
    ahead = ReadAhead(get, most=4, threads=2)
    ahead.expect(range(20))
    for taken in range(3):
        get.wait_for(4 + taken)
        assert sorted(get.got) == list(range(4 + taken))
        ahead.take(taken)


def test_a_new_order_takes_the_place_of_one_that_was_not_finished():
    get = Getter()
    ahead = ReadAhead(get, most=4, threads=2)
    ahead.expect(range(100))
    ahead.take(0)
    ahead.expect([7, 8])
    assert ahead.expects([7, 8])
    assert not ahead.expects([50])
    assert [ahead.take(7), ahead.take(8), ahead.take(50)] == [14, 16, 100]
    assert len(get.got) < 20


def test_an_error_is_raised_where_its_thing_is_taken():
    ahead = ReadAhead(Getter(), most=4)
    ahead.expect([1, -5, 2])
    assert ahead.take(1) == 2
    with pytest.raises(ValueError, match="-5"):
        ahead.take(-5)
    assert ahead.take(2) == 4


def test_threads_end_with_their_owner_and_a_copy_has_its_own():
    before = set(threading.enumerate())
    ahead = ReadAhead(abs, most=4, threads=3)
    ahead.expect([1, 2, 3])
    copy = pickle.loads(pickle.dumps(ahead))
    copy.expect([4, 5, 6])
    assert [ahead.take(1), copy.take(6)] == [1, 6]
    threads = set(threading.enumerate()) - before
    assert len(threads) == 6
    del ahead, copy
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
