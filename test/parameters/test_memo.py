import gc
import threading
import weakref

from drumblender.parameters.memo import remember


class Value:
    pass


def counted(most=4):
    """A function that remembers, and the calls that it really ran."""
    calls = []

    @remember(most=most)
    def function(*args):
        calls.append(args[1:])
        return len(calls)

    return function, calls


def test_objects_are_known_by_identity_and_numbers_by_value():
    function, calls = counted()
    one, other = Value(), Value()
    assert function(one, 1.0) == function(one, 1.0) == 1
    assert function(other, 1.0) == 2
    assert function(one, 2.0) == 3
    assert function(one, (other, frozenset({1}))) == function(one, (other, frozenset({1}))) == 4
    assert len(calls) == 4


def test_another_object_in_the_place_of_one_that_is_gone_is_another_one():
    function, calls = counted(most=100)
    for number in range(20):
        value = Value()
        assert function(value, 0) == number + 1
        del value
    assert len(calls) == 20


def test_the_result_goes_with_the_value():
    results = []

    @remember(most=4)
    def make(value):
        made = Value()
        results.append(weakref.ref(made))
        return made

    value = Value()
    assert make(value) is results[0]()
    del value
    gc.collect()
    assert results[0]() is None


def test_only_so_many_results_are_kept_and_the_oldest_goes_first():
    function, calls = counted(most=2)
    value = Value()
    for number in (1, 2, 1, 3, 1, 2):
        function(value, number)
    assert [number for (number,) in calls] == [1, 2, 3, 2]


def test_threads_get_the_same_results():
    function, _ = counted(most=50)
    values = [Value() for _ in range(50)]
    found = []

    def ask():
        found.append([function(x, 0) for x in values])

    ask()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(x == found[0] for x in found)
