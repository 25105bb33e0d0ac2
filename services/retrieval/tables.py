"""Whether a question names a row that a table does not have: "How much is the plum cake?" where only apple and nut cakes stand."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from documents.sections import Row, Section
from languages.base import KnowledgeWords
from languages.wording import Words
from services.embedding import WORD, Vectors, plain
from services.retrieval.answerability import Asked, Narrow, unit

# By how much nearer a word must be to what names the rows than to their columns to be a name of that kind. Of 42 questions for rows
# that four tables do not have 18 got another row, with this 2; of 51 for rows that they have none is lost.
KIN = 0.06

# By how much nearer a sentence beside a table must be to a question than each of its rows to be what is asked for. It is 0.21 and
# more for 10 of 12 questions for callouts, quotations and sentences beside two tables, and below -0.1 for all 16 for rows, had or
# not: with it 7 of the 12 are answered (4 without), and of the 16 as many as before (6 of 6 that are there, 2 of 10 that are not).
BESIDE = 0.15

# A word of the question that stands nowhere in a table, and is no nearer than this to a word beside the names of its rows, asks
# for a column that it does not have: a rare word (of RARE and more) or a common one, which may be said for little ("come").
FAR, FAR_COMMON, RARE = 0.4, 0.2, 0.6

# Words of a row's name; what is longer is a sentence, of which few say every word. Of 57 questions for rows that ten tables do not
# have, but of whose names they have a part, 28 were answered with another row, and 1 is; of 106 for rows that they have all but 3
# are (2 were refused before). Of three more tables 10 of 19 were, 2 at the first try and 1
# since a verb may be "have"; all 16 of their rows are answered.
LONGEST_NAME = 4

_CODE = re.compile(r"\b(?:([A-Z]{1,4})-?(\d{1,6})[A-Za-z]?|([a-z]{1,4})(\d{1,6})[a-z]?)\b")
_LISTED = re.compile(r"[^:.!?]{1,40}: (?=\S)")


def names_no_row(asked: Asked, section: Section, parts: Sequence[Narrow], similarity: Vectors) -> bool:
    """Whether `asked` names a row and `section` is a table without it. `parts` are the words of the sentences of `section`,
    `similarity` their cosines to what is asked."""
    rows = _rows(section.sentences)
    if len(rows) < 2:
        return False
    beside = [at for at in range(len(section.sentences)) if at not in rows]
    if beside and float(similarity[beside].max()) - float(similarity[rows].max()) > BESIDE:
        return False  # a callout or a quotation beside the table is asked for, not a row of it
    keys = [_key(section.sentences[at]) for at in rows]
    others = [sentence for at, sentence in enumerate(section.sentences) if at not in rows]
    prose = " ".join([section.context, *others, *section.asked]).lower()
    said = asked.text.lower()
    for times in asked.words.cycles:
        wanted = times(said)
        kept = [found for key in keys if (found := times(key))]
        if wanted and len(kept) > 1:
            return not any(wanted & found for found in kept) and not wanted & times(prose)
    known = frozenset(map(asked.words.stem, WORD.findall(prose)))
    return _names_more(asked, section, rows, keys, known) or _unknown(asked, section, parts, rows, keys, known)


def unmeant_rows(asked: Asked, section: Section) -> frozenset[int]:
    """Which sentences of `section` are rows of which `asked` asks nothing: all but those that it names in full and by the most
    words ("latte macchiato" where there is a latte too), or all where it says words of a sentence beside the table and of no
    row."""
    at_rows = [at for at, sentence in enumerate(section.sentences) if isinstance(sentence, Row)]
    spoken = _name(asked.text.lower(), asked.words)
    names = {at: _name(_key(section.sentences[at]), asked.words) for at in at_rows}
    said = {at: name for at, name in names.items() if name and name <= spoken}
    if said:
        return frozenset(at for at in at_rows if at not in said or any(said[at] < other for other in said.values()))
    rest = spoken - _name(section.context.lower(), asked.words)
    beside = (_name(one.lower(), asked.words) for at, one in enumerate(section.sentences) if at not in names)
    in_rows = any(rest & _name(section.sentences[at].lower(), asked.words) for at in at_rows)
    return frozenset(at_rows) if not in_rows and any(rest & words for words in beside) else frozenset()


def _names_more(asked: Asked, section: Section, rows: Sequence[int], keys: Sequence[str], prose: frozenset[str]) -> bool:
    """Whether a word that names a row stands in a longer name, which no row has: "latte macchiato" where there is a chai latte, or
    "carrot cake" where there are a carrot muffin and an apple cake. How near a word is to the columns tells no name from other
    words: with that 6 to 18 of the 57 were answered again, for 2 more of the 54."""
    names = [name for key in keys if (name := _name(key, asked.words)) and len(name) <= LONGEST_NAME]
    beside = " ".join(section.sentences[at][len(key) :] for at, key in zip(rows, keys, strict=True))
    known = prose | set(map(asked.words.stem, WORD.findall(beside.lower())))
    for phrase in _phrases(asked, frozenset().union(known, *names)):
        some = [name for name in names if name & set(phrase)]
        if some and not any(all(word in name or word in known for word in phrase) for name in some):
            return True
    return False


def _phrases(asked: Asked, known: frozenset[str]) -> Iterator[list[str]]:
    """The stems of the words that stand together in a question, without the words of no meaning between them: what may be a name.
    A number before a name and the verb before or behind it are no part of it."""
    of, phrase, before, verb = asked.words, list[str](), "", False
    for word in [*WORD.findall(asked.text.lower()), ""]:
        if word and word not in of.empty and word not in of.fillers:
            if phrase or not of.number.fullmatch(word):
                phrase.append(of.stem(word))
            continue
        if phrase and before in of.before_verb and phrase[0] not in known:
            phrase, verb = phrase[1:], False
        elif verb and len(phrase) > 1 and phrase[-1] not in known and word not in of.auxiliaries:
            phrase, verb = phrase[:-1], False
        if phrase:
            yield phrase
        phrase, before, verb = [], word, verb or word in of.auxiliaries


def _name(key: str, of: KnowledgeWords) -> frozenset[str]:
    """The stems of the words with a meaning in what names a row."""
    return frozenset(of.stem(word) for word in WORD.findall(key) if word not in of.empty)


def names_other_code(asked: Asked, section: Section) -> bool:
    """Whether `asked` names a code of which `section` has only others: "E07" where E01 and E02 stand."""
    known = {(series, number) for series, number in _codes(" ".join([section.context, section.text, *section.asked]))}
    of = {series for series, _ in known}
    return any(series in of and (series, number) not in known for series, number in _codes(asked.text))


def _codes(text: str) -> list[tuple[str, int]]:
    return [((capital or small).lower(), int(of or other)) for capital, of, small, other in _CODE.findall(text)]


def _rows(sentences: Sequence[str]) -> list[int]:
    """Which of `sentences` are rows of a table, or lines of a list in which each begins with a name and a colon."""
    rows = [at for at, sentence in enumerate(sentences) if isinstance(sentence, Row)]
    listed = [at for at, sentence in enumerate(sentences) if _LISTED.match(sentence)]
    return rows or (listed if 2 * len(listed) >= len(sentences) else [])


def _unknown(
    asked: Asked, section: Section, parts: Sequence[Narrow], rows: Sequence[int], keys: Sequence[str], prose: frozenset[str]
) -> bool:
    """Whether no row is named by what tells it from the others, and a word is said that can only be such a name."""
    stem, empty = asked.words.stem, asked.words.empty
    words = [list(map(stem, WORD.findall(key))) for key in keys]
    counts = Counter(word for key in words for word in set(key))
    shared = {word for word, count in counts.items() if count > 1}
    own = {word for word in counts if word not in shared}
    spoken = list(map(stem, WORD.findall(asked.text.lower())))
    everything = frozenset(stem(word) for sentence in section.sentences for word in WORD.findall(sentence.lower())) | prose
    if own & set(spoken) - set(map(stem, empty)) or any(_spans(key, spoken, asked.words.span) for key in keys):
        return _asks_no_column(asked, everything, section, parts, rows, keys)
    if _kin(asked, everything, *_words_of(empty, section, parts, rows, keys, shared)):
        return True
    heads = set(map(stem, WORD.findall(section.context.lower())))  # "the measles vaccination" under "Vaccinations"
    return _asks_no_column(asked, everything, section, parts, rows, keys) or any(
        (_beside(spoken, at, shared) or heads & set(spoken[at + 1 : at + 2]))
        and word not in everything
        and (word not in empty or len(word) == 1)
        for at, word in enumerate(spoken)
    )


def _asks_no_column(
    asked: Asked, known: frozenset[str], section: Section, parts: Sequence[Narrow], rows: Sequence[int], keys: Sequence[str]
) -> bool:
    """Whether something is asked of a row that no column tells: "What colour is the Swift Race?" """
    cells = [vector for _, _, vector, named in _read(asked.words.empty, section, parts, rows, keys) if not named]
    if not cells:
        return False
    beside = np.stack(cells)
    known |= {asked.words.stem(word) for word in (*asked.words.portion.findall(asked.text.lower()), *asked.words.fillers)}
    return any(
        float((beside @ vector).max()) < (FAR if rare >= RARE else FAR_COMMON)
        for word, vector, rare in zip(asked.stems, asked.vectors, asked.rare, strict=True)
        if word not in known
    )


def _beside(spoken: Sequence[str], at: int, words: set[str]) -> bool:
    return bool(words & {*spoken[max(0, at - 1) : at], *spoken[at + 1 : at + 2]})


def _kin(asked: Asked, known: frozenset[str], names: Sequence[Vectors], columns: Sequence[Vectors]) -> bool:
    """Whether a word of the question that is not `known` is of the kind of the words that name the rows."""
    measured = {asked.words.stem(word) for word in asked.words.measured.findall(asked.text.lower())}
    news = [vector for word, vector in zip(asked.stems, asked.vectors, strict=True) if word not in known | measured]
    if not names or not columns:
        return False
    return any(max(float(new @ one) for one in names) - max(float(new @ one) for one in columns) > KIN for new in news)


def _words_of(
    empty: Words, section: Section, parts: Sequence[Narrow], rows: Sequence[int], keys: Sequence[str], shared: set[str]
) -> tuple[list[Vectors], list[Vectors]]:
    """The vectors of the words that name rows, and of those that stand in several rows beside the name, or in the heading."""
    names, columns = list[Vectors](), list[Vectors]()
    beside = Counter(
        word
        for at, key in zip(rows, keys, strict=True)
        for word in set(WORD.findall(section.sentences[at][len(key) :].lower()))
        if not word[0].isdigit()
    )
    for word, heads, vector, named in _read(empty, section, parts, rows, keys):
        if named:
            names.append(vector)
        elif heads or beside[word] > 1:
            columns.append(vector)
    return names, columns


def _read(
    empty: Words, section: Section, parts: Sequence[Narrow], rows: Sequence[int], keys: Sequence[str]
) -> Iterator[tuple[str, bool, Vectors, bool]]:
    """The words of the rows: each with its vector, whether it stands in the heading, and whether it names the row."""
    for at, key in zip(rows, keys, strict=True):
        words = [word for word in WORD.findall(plain(f"{section.context}: {section.sentences[at]}")) if word not in empty]
        if len(words) != len(parts[at]):
            continue  # not all of them were read
        vectors = unit(parts[at])
        begins = len([word for word in WORD.findall(section.context.lower()) if word not in empty])
        ends = begins + len([word for word in WORD.findall(key) if word not in empty])
        for place, word in enumerate(words):
            yield word, place < begins, vectors[place], begins <= place < ends


def _key(row: str) -> str:
    """What names a row: its first cell."""
    return row.partition(": ")[0].lower()


def _spans(key: str, spoken: Sequence[str], span: re.Pattern[str]) -> bool:
    """Whether a row for a range of numbers holds one that is said."""
    said = [int(word) for word in spoken if word.isdigit() and len(word) < 5]
    return any(int(low) <= number <= int(high) for low, high in span.findall(key) for number in said)
