"""What the voice is given to read, and which word of the reply is being said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.en import LANGUAGE as ENGLISH
from languages.en.speech import speakable
from services.base import Word
from services.tts.cleaning import cleaned, readable
from services.tts.pieces import LONGEST, align, pieces


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("# Heading", "Heading"),
        ("- **Bold**, *italic*, __bold__ and _italic_", "Bold, italic, bold and italic"),
        ("See [the docs](https://x.org/a_b).", "See the docs."),
        ("See [Foo (bar)](https://en.wikipedia.org/wiki/Foo_(bar)) here.", "See Foo (bar) here."),
        ('([a](https://x.org/a_(b)_(c)) and [b](https://x.org/b "T"))', "(a and b)"),
        ("![Map](map_(1).png) of it", "Map of it"),
        ("Read https://www.example.com/path?x=1.", "Read example dot com."),
        ("Open http://localhost:7860/ now", "Open localhost port 7860 now"),
        ("It is 127.0.0.1:7860, then /healthz.", "It is 127 dot 0 dot 0 dot 1 port 7860, then /healthz."),
        ("Mail bob.smith@example.org!", "Mail bob dot smith at example dot org!"),
        ("Run `python app.py --port 8000`", "Run python app dot pie port 8000"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("PARLEY_PORT or snake_case", "PARLEY PORT or snake case"),
        ("<b>bold</b> &amp; more", "bold & more"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b, 1, 2,"),
        ("Wait... what!? No way!!! Hm…", "Wait, what? No way! Hm."),
        ("🙂 Great 👍🏽 job ❤️", "Great job"),
        ("It takes ≤ 300 ms, ~5 s, 1.5s or 3h", "It takes at most 300 ms, about 5 seconds, 1.5 seconds or 3 hours"),
        ("a >= b, x != y, in -> out", "a at least b, x is not y, in to out"),
        ("the 1990s and the 90s", "the 1990s and the 90s"),
        ("€5, 100%, $5.20, £0.99 and $1.2M", "5 euros, 100%, 5 dollars and 20 cents, 99 pence and $1.2M"),
        ("10-20% of 24/7, 2x, 5k", "10 to 20% of 24 7, 2 times, 5 thousand"),
        ("v1.2.3 of C# and C++", "version 1 dot 2 dot 3 of C sharp and C plus plus"),
        ("e.g. this, i.e. that", "for example, this, that is, that"),
        ("3 * 4 and 2×3", "3 times 4 and 2 times 3"),
        ("12345678901234567890", "1 2 3, 4 5 6, 7 8 9, 0 1 2, 3 4 5, 6 7 8, 9 0"),
        ("Redis speaks JSON", "reddiss speaks Jason"),
        ("a -- b – c - well-known", "a, b, c, well-known"),
        ("it’s “fine” at 20°C", "it’s “fine” at 20°C"),
        ("Mail <sales@example.com>", "Mail sales at example dot com"),
        ("https://user:secret@example.com/x and ftp://a.org/b", "example dot com and a dot org"),
        ("www.example.com, github.com/user/repo.", "example dot com, github dot com slash user slash repo."),
        ("Use .NET, w/in a day, b/c Ctrl+C", "Use dot NET, within a day, because control plus C"),
        ("$x^2 + 1$ and \\(\\pi r^{2}\\)", "x to the power of 2 + 1 and pi r to the power of 2"),
        ("\\[\\frac{a}{b} \\times \\sqrt{16} \\neq \\text{speed}\\]", "a over b times square root of 16 is not speed"),
        ("$5 \\times 3 = 15$, 2\\frac{1}{2} and 90^\\circ", "5 times 3 = 15, 2 and a half and 90 degrees"),
        ("it is $5 and that is $6", "it is 5 dollars and that is 6 dollars"),
        ("the `<div>` tag", "the div tag"),
        ("C:\\in\\to", "C: in to"),
    ],
)
def test_text_is_made_ready_for_the_ear(written: str, said: str) -> None:
    assert speakable(cleaned(written)) == said


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("See [the docs](https://x.org/a_b), 👍 **please**.", "See the docs, please."),
        ("Read https://www.example.com/path?x=1. Or (https://a.b/c) now", "Read example.com. Or (a.b) now"),
        ("Read https://www.example.com/a_(b) or (https://x.org/a_(b)).", "Read example.com or (x.org)."),
        ("Ends [INST]here[/INST]</s><|im_end|><eos>", "Ends here"),
        ("# Heading\n- [x] one\n* *two*", "Heading one two"),
        ("It is **very", "It is very"),  # a clause ends in the middle of a pair
        ("good** now, 3 * 4 and x**2", "good now, 3 * 4 and x**2"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b, 1, 2"),
        ("<think>The user wants</think>Hello", "Hello"),
        ("he wants</think> Hello", "Hello"),
        ("It costs $5.20 at 9AM, 3 m²", "It costs $5.20 at 9AM, 3 m²"),  # numbers are the voice's own
        ("Fine【4†source】[^1] <b>bold</b> &amp; `code`<|im_end|>", "Fine bold & code"),
        ("a < b and <your name>", "a < b and <your name>"),
        ('<a href="https://x.org/?a=b">link</a>, x<sup>2</sup>, 1<sup>st</sup>', "link, x^2, 1st"),
        ("https://user:secret@example.com/x", "example.com"),
        ('```js title="a.js"', ""),
        ("```objective-c", ""),
        ("a ==b== c, H~2~O, x^2^", "a b c, H2O, x^2"),
        ("• one • two", "one, two"),
        ("37℃ &lt; 40 &copy=1", "37℃ < 40 &copy=1"),
        ("$\\alpha \\leq 2$", "α ≤ 2"),
        ("🙂", ""),
        ("...", ""),
    ],
)
def test_every_voice_is_given_words_and_no_markup(written: str, read: str) -> None:
    assert readable(written) == read


@pytest.mark.parametrize("text", ["", "  \n", "...", "!?", "…", "🙂👍", "**", "---", "`", "()", "你好", "<br/>"])
def test_what_has_no_letter_or_digit_is_not_said(text: str) -> None:
    assert speakable(cleaned(text)) == ""


@given(st.text(max_size=300))
def test_any_text_is_survived(text: str) -> None:
    said = speakable(cleaned(text))
    assert said == " ".join(said.split())
    assert not set(said) & set("`*{}[]\\")


@given(st.text(alphabet=st.sampled_from("ab,. !?1"), max_size=600))
def test_pieces_keep_every_word_in_order(text: str) -> None:
    parts = pieces(text, ENGLISH.sentences)
    assert [word for words in parts for word in words] == text.split()
    assert all(1 <= len(words) <= LONGEST for words in parts)


def test_a_piece_ends_with_its_sentence() -> None:
    assert pieces("Yes. It is on Jan. 5th, Dr. Smith! 1. First", ENGLISH.sentences) == [
        ["Yes."],
        ["It", "is", "on", "Jan.", "5th,", "Dr.", "Smith!"],
        ["1.", "First"],
    ]


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    words = ["word"] * 40
    assert [len(part) for part in pieces(" ".join(words), ENGLISH.sentences)] == [25, 15]
    words[19] = "word,"
    assert [len(part) for part in pieces(" ".join(words), ENGLISH.sentences)] == [20, 20]


def said(*texts: str) -> list[Word]:
    """Each word takes 10 ms, and 2 ms pass before it."""
    return [Word(text, 10.0 * i + 2, 10.0 * i + 10) for i, text in enumerate(texts)]


def test_words_said_as_written_keep_their_times() -> None:
    assert align(["Hello,", "there!"], said("Hello,", "there!")) == [Word("Hello,", 2, 10), Word("there!", 12, 20)]


def test_a_word_said_as_several_lasts_from_the_first_to_the_last_of_them() -> None:
    spoken = said("It", "costs", "5", "dollars", "and", "20", "cents", "now.")
    assert align(["It", "costs", "$5.20", "now."], spoken)[2:] == [Word("$5.20", 22, 70), Word("now.", 72, 80)]


def test_words_said_as_one_share_it_and_unsaid_words_take_no_time() -> None:
    unsaid = align(["🙂", "one", "—", "two"], said("one", "two"))
    assert unsaid == [Word("🙂", 0, 0), Word("one", 2, 10), Word("—", 10, 10), Word("two", 12, 20)]
    assert align(["20", "°C"], said("20°C"))[-1] == Word("°C", 2, 10)


@given(st.lists(st.sampled_from(["a", "b", "$5", "🙂", "c"]), max_size=12), st.lists(st.sampled_from("abcde"), max_size=12))
def test_times_never_go_back(words: list[str], spoken: list[str]) -> None:
    timed = align(words, said(*spoken))
    assert [word.text for word in timed] == words
    times = [at for word in timed for at in (word.start_ms, word.end_ms)]
    assert times == sorted(times)
    assert all(0 <= time <= 10 * len(spoken) for time in times)
