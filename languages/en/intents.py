"""English words around what somebody wants; the examples are in `intents.yaml`."""

import re

from languages.base import IntentWords
from languages.en.manner import pace, volume

# No set of examples covers what may be asked: what is unlike all of them but has the form of a question is one. Whether it can be
# answered is for retrieval to tell.
_ASKS = re.compile(
    r"(?:who|whose|what|which|when|where|why|how|do|does|did|is|are|was|were|can|could|may|will|would|should|explain|describe|"
    r"tell me (?:about|how|what|why|which|if)|i(?:'d| would) like to know|i (?:want|need) to know|i wonder)\b"
)
_PADDING = frozenset("okay ok so well um uh oh ah and but hey please yes no now just then sorry alright right parley".split())

INTENTS = IntentWords(
    asks=_ASKS,
    padding=_PADDING,
    pace=pace,
    volume=volume,
)
