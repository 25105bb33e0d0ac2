"""What is kept of what users say does not grow with what they think of."""

from services.retrieval import answerability, tables


def test_words_and_questions_of_any_length_are_not_kept() -> None:
    for cache, use in (
        (answerability._stem, lambda number: answerability.stem(f"{number}" * 400)),
        (tables._times_of, lambda number: tables._times(f"on Monday, {number}, and " * 80, 0)),
    ):
        before = cache.cache_info().currsize
        for number in range(1000, 1100):
            use(number)
        assert cache.cache_info().currsize == before
    assert answerability.stem("inflections") == "inflect"
    assert tables._times("monday to wednesday", 0) == {0, 1, 2}
