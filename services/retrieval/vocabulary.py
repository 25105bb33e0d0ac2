"""Words of the knowledge that a speech recogniser may not expect."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from documents.sections import Document
from languages.base import KnowledgeWords

IN_TITLE = 3  # occurrences that one in a heading is worth: it is what people ask for
NAMED = 3  # occurrences that being a name is worth: names are misheard most

_WORD = re.compile(r"[^\W\d_][\w-]*[^\W_]")


def vocabulary(documents: Sequence[Document], language: KnowledgeWords, pieces: Callable[[str], int], most: int) -> list[str]:
    """Rare words, names above all, the most useful first, at most `most`. `pieces` tells into how many parts a language model's
    tokenizer cuts a word: a common word is one."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    weight: Counter[str] = Counter()
    named = set[str]()
    for section in (section for document in documents for section in document.sections):
        for text, worth in ((section.title, IN_TITLE), (section.text, 1)):
            for word in _WORD.findall(text):
                spellings[word.lower()][word] += 1
                weight[word.lower()] += worth
            named.update(word.lower() for word in language.name_in_text.findall(text))
    wanted = [word for word in weight if min(pieces(word), pieces(language.stem(word))) > 1]
    best = sorted(wanted, key=lambda word: -weight[word] - NAMED * (word in named))[:most]
    return [spellings[word].most_common(1)[0][0] for word in best]
