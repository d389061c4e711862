import pickle
import threading

import numpy as np

from drumblender.data.streams.cache import ItemCache


def content(row, count=1000):
    return np.random.default_rng(row).bytes(count)


def fill(cache, pack, rows):
    for row in rows:
        cache.put(pack, row, (1000 * row, 1000 * row + 1000), content(row))


def there(cache, pack, rows):
    """The rows that are in a cache, with the right content."""
    found = {row: cache.get(pack, row, (1000 * row, 1000 * row + 1000)) for row in rows}
    found = {row: data for row, data in found.items() if data is not None}
    assert all(bytes(data) == content(row) for row, data in found.items())
    return list(found)


def test_what_came_first_stays_and_the_limit_holds(tmp_path):
    cache = ItemCache(tmp_path / "cache", 3500)
    fill(cache, "packs/a.safetensors", [5, 2, 9, 4])
    assert there(cache, "packs/a.safetensors", range(10)) == [2, 5, 9]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.items")) == 3000
    again = ItemCache(tmp_path / "cache", 3500)
    assert there(again, "packs/a.safetensors", range(10)) == [2, 5, 9]


def test_a_part_of_what_is_kept_is_enough_but_nothing_beyond_it(tmp_path):
    cache = ItemCache(tmp_path / "cache", 10_000)
    cache.put("a", 0, (100, 1100), content(0))
    assert bytes(cache.get("a", 0, (200, 300))) == content(0)[100:200]
    assert cache.get("a", 0, (0, 200)) is None
    assert cache.get("a", 0, (1000, 1101)) is None
    assert cache.get("a", 1, (0, 1)) is None
    assert cache.get("b", 0, (200, 300)) is None


def test_many_threads_and_processes_may_write_at_once(tmp_path):
    cache = ItemCache(tmp_path / "cache", 1 << 30)
    copies = [cache, pickle.loads(pickle.dumps(cache))]
    rows = [range(start, 200, 8) for start in range(8)]
    threads = [threading.Thread(target=fill, args=(copies[i % 2], "a", rows[i])) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert there(cache, "a", range(200)) == list(range(200))


def test_packs_of_other_datasets_make_room_and_reading_goes_on_without_them(tmp_path):
    old = ItemCache(tmp_path / "cache", 5000)
    fill(old, "packs/old.safetensors", range(5))
    new = ItemCache(tmp_path / "cache", 5000)
    new.make_room(["packs/new.safetensors"], 2000)
    fill(new, "packs/new.safetensors", range(2))
    assert there(new, "packs/new.safetensors", range(2)) == [0, 1]
    assert there(old, "packs/old.safetensors", range(5)) == []
    # A dataset that fits beside the others takes nothing from them.
    third = ItemCache(tmp_path / "cache", 5000)
    third.make_room(["packs/third.safetensors"], 2000)
    fill(third, "packs/third.safetensors", range(2))
    assert there(new, "packs/new.safetensors", range(2)) == [0, 1]
    assert there(third, "packs/third.safetensors", range(3)) == [0, 1]


def test_without_room_nothing_is_kept(tmp_path):
    cache = ItemCache(tmp_path / "cache", 0)
    fill(cache, "a", [0])
    assert there(cache, "a", [0]) == []
