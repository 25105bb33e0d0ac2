"""How English sentences end, and where speech may pause in one."""

import re

from languages.sentences import Sentences

SENTENCES = Sentences(
    # What nupunkt's model does not know for a short form of spoken English.
    short=("cf", "cmdr", "cu", "ext", "lt", "mins", "mlle", "mme", "mph", "rpm", "tbs", "viz", "wk", "yrs"),
    starters=frozenset(
        "the it then this that these those he she we they you but and so if in what when how there my your our is are do "
        "does".split()
    ),
    before_numbers=frozenset("no nos p pp vol fig figs eq sec ch art ver rm ext tel ca approx".split()),
    letters=frozenset({"I"}),
    leading=frozenset("i.e e.g cf viz vs mr mrs ms messrs".split()),
)
# The gap before a word that a phrase begins with, but not the one behind "Dr."
PHRASE = re.compile(
    r"(?<!\.)\s(?=(?:and|but|or|because|which|that|who|when|while|where|if|as|to|in|on|at|for|with|from|by|into)\s)"
)
