"""The cache that is bounded by bytes."""

from service.store.sized_cache import SizedCache


def cache_of(max_bytes: int, *values: str) -> SizedCache[str, str]:
    cache: SizedCache[str, str] = SizedCache(max_bytes, len)
    for value in values:
        cache.put(value[0], value)
    return cache


def test_sized_cache_forgets_the_least_recently_used_when_full() -> None:
    cache = cache_of(10, "aaaa", "bbbb")
    assert cache.get("a") == "aaaa"
    cache.put("c", "cccc")
    assert [key in cache for key in "abc"] == [True, False, True]
    assert cache.held_bytes == 8


def test_sized_cache_keeps_one_value_that_is_larger_than_the_whole() -> None:
    cache = cache_of(10, "aaaa", "b" * 50)
    assert ("a" in cache, cache.get("b")) == (False, "b" * 50)
    cache.put("c", "c")
    assert (len(cache), cache.held_bytes) == (1, 1)


def test_sized_cache_counts_a_replaced_value_once() -> None:
    cache = cache_of(10, "aaaa", "aaaaaaaa", "aa")
    assert (cache.get("a"), cache.held_bytes) == ("aa", 2)
