"""What is kept of what users say does not grow with what they think of."""

from languages.en import knowledge


def test_words_and_questions_of_any_length_are_not_kept() -> None:
    for cache, use in (
        (knowledge._stem, lambda number: knowledge.stem(f"{number}" * 400)),
        (knowledge._times_of, lambda number: knowledge._times(f"on Monday, {number}, and " * 80, 0)),
    ):
        before = cache.cache_info().currsize
        for number in range(1000, 1100):
            use(number)
        assert cache.cache_info().currsize == before
    assert knowledge.stem("inflections") == "inflect"
    assert knowledge._times("monday to wednesday", 0) == {0, 1, 2}
