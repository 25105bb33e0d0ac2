"""The ledger: which words were heard at which millisecond."""

from hypothesis import given
from hypothesis import strategies as st

from app.reply.ledger import Ledger, spread_words
from services.base import Word

SCRIPT = [("One two three.", 900.0), ("Four five.", 600.0)]


def said(text: str, *ends: float) -> list[Word]:
    """The words of `text`, each from the end of the one before it to its own."""
    return [Word(*word) for word in zip(text.split(), (0.0, *ends), ends, strict=False)]


def ledger(ended: bool = True) -> Ledger:
    book = Ledger(generation=1)
    for text, length in SCRIPT:
        book.begin_clause(text, book.sent_ms, length, said(text, *(300.0 * i for i in range(1, 9))))
        book.send(length, now=0)
    book.ended = ended
    return book


def test_a_word_is_heard_when_half_of_it_was_played() -> None:
    expected = {
        0: "",
        149: "",
        151: "One",
        751: "One two three.",
        1049: "One two three.",
        1051: "One two three. Four",
        9000: None,
    }
    for played, text in expected.items():
        book = ledger()
        book.acknowledge(played, now=0)
        assert book.heard_text() == (text if text is not None else "One two three. Four five.")


def test_clauses_count_when_their_last_word_was_heard() -> None:
    for played, count in {0: 0, 740: 0, 760: 1, 1340: 1, 1360: 2}.items():
        book = ledger()
        book.acknowledge(played, now=0)
        assert book.heard_clauses() == count


def test_acknowledgements_never_go_back_and_never_exceed_what_was_sent() -> None:
    book = ledger()
    for played in (500.0, 300.0, 99_999.0):
        book.acknowledge(played, now=0)
    assert book.heard_ms == 1500
    assert not book.estimated


def test_an_estimate_grows_from_the_last_acknowledgement_and_the_truth_replaces_it() -> None:
    book = ledger(ended=False)
    book.acknowledge(400, now=1000)
    assert book.estimate(now=1250, delay_ms=120) == 650
    assert book.estimated
    book.acknowledge(520, now=1300)
    assert (book.heard_ms, book.estimated) == (520, False)


def test_without_any_acknowledgement_the_path_is_subtracted() -> None:
    book = ledger(ended=False)
    assert book.estimate(now=0, delay_ms=120) == 1380
    assert book.estimate(now=200, delay_ms=120) == 1500


def test_silence_put_into_a_word_is_no_hearing_of_it() -> None:
    book = Ledger(generation=1)
    book.begin_clause("one two", 0, 800, said("one two", 400, 800))
    book.send(480, now=0)  # 80 ms of the second word
    book.wait(140)
    book.send(140, now=140)
    book.acknowledge(620, now=640)
    assert book.heard_text() == "one"
    book.send(160, now=780)
    book.acknowledge(620 + 100, now=800)
    assert book.heard_text() == "one", "180 of 400 ms"
    book.acknowledge(620 + 130, now=830)
    assert (book.heard_text(), book.heard_clauses()) == ("one two", 1)
    book.begin_clause("three", 940, 300)
    assert book.clauses[-1].start_ms == 800


def test_more_audio_of_a_clause_spreads_its_words_again() -> None:
    book = Ledger(generation=1)
    book.begin_clause("one two", 0, 200)
    book.send(200, now=0)
    book.extend_clause(200, 600)
    assert book.clauses[0].end_ms == 800
    assert book.clauses[0].words == [200, 600]


def test_each_piece_of_a_clause_tells_the_times_of_its_own_words() -> None:
    book = Ledger(generation=1)
    book.begin_clause("one two three four", 0, 500, said("one two", 300, 480))
    book.send(500, now=0)
    book.acknowledge(500, now=0)
    assert book.heard_text() == "one two"
    book.extend_clause(500, 900, said("three", 200))
    book.send(900, now=0)
    book.acknowledge(1400, now=0)
    assert book.heard_text() == "one two three"
    book.finish()
    assert book.heard_text() == "one two three four"


def test_silence_before_a_word_is_no_hearing_of_it() -> None:
    book = Ledger(generation=1)
    book.begin_clause("Well, and", 0, 800, [Word("Well,", 20, 300), Word("and", 600, 700)])
    book.send(800, now=0)
    for played, text in {159: "", 161: "Well,", 640: "Well,", 651: "Well, and"}.items():
        book.acknowledge(played, now=0)
        assert book.heard_text() == text


@given(st.text(alphabet="ab ", max_size=60), st.floats(1, 1e5))
def test_spread_words_rise_and_end_at_the_end(text: str, length: float) -> None:
    words = spread_words(text, length)
    assert [word.text for word in words] == text.split()
    times = [at for word in words for at in (word.start_ms, word.end_ms)]
    assert times == sorted(times)
    assert not times or abs(times[-1] - length) < 1e-6 * length


@given(st.lists(st.floats(0, 3000), max_size=20))
def test_heard_text_is_always_a_beginning_of_what_was_said(played: list[float]) -> None:
    book, whole = ledger(), "One two three. Four five."
    for ms in played:
        book.acknowledge(ms, now=0)
        assert whole.startswith(book.heard_text())


def test_a_clause_that_is_cut_keeps_the_words_that_were_said() -> None:
    ledger = Ledger(1)
    ledger.begin_clause("Let me see.", 0, 600, said("Let me see.", 200, 300, 600))
    ledger.cut_clause(320)
    ledger.begin_clause("Yes.", 320, 300, said("Yes.", 300))
    ledger.send(640, 0)
    ledger.acknowledge(620, 0)
    assert ledger.heard_text() == "Let me Yes."
    assert ledger.heard_clauses() == 2


def test_a_clause_that_is_cut_before_its_first_word_counts_as_over() -> None:
    ledger = Ledger(1)
    ledger.begin_clause("Let me see.", 0, 600, said("Let me see.", 200, 300, 600))
    ledger.cut_clause(90)
    assert (ledger.heard_text(), ledger.heard_clauses()) == ("", 1)


def test_a_clause_that_is_left_out_keeps_the_count() -> None:
    ledger = Ledger(1)
    ledger.skip_clause()
    ledger.begin_clause("Yes.", 0, 300, said("Yes.", 300))
    ledger.send(300, 0)
    ledger.acknowledge(300, 0)
    assert (ledger.heard_text(), ledger.heard_clauses()) == ("Yes.", 2)
