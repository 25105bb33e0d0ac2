"""The user, or a bystander: somebody else in the room? Two things tell: by how much a voice is weaker than the user's own
turns, and how alike it is to the user's voice.

Each gives the logarithm of the odds that the user speaks, and both are added. They are logistic regressions, which `python -m
tests.bench voices` makes from recorded speakers; it prints both errors for speakers who are in no weights. Pure."""

from typing import NamedTuple


class LogOdds(NamedTuple):
    """A logistic regression on one value, which tells no more beyond `least` and `most`."""

    weight: float
    even: float  # the value at which both are as likely
    least: float
    most: float

    def odds(self, value: float) -> float:
        """The logarithm of the odds that the user speaks."""
        return self.weight * (min(max(value, self.least), self.most) - self.even)


BY_GAP = LogOdds(0.53, -7.6, -20.0, 0.0)  # dB against the user's turns
BY_LEVEL = LogOdds(0.39, 58.4, 40.0, 70.0)  # dB re one step of int16, where the user has not spoken yet
BY_BYSTANDER = LogOdds(0.53, 7.9, -20.0, 20.0)  # dB against a bystander who was just heard: in doubt up to 6 dB above them
BY_VOICE = LogOdds(15.6, 0.05, -0.2, 0.5)  # likeness, less LIKER for each second of voice:
LIKER, WHOLE_S = 0.094, 1.2  # more of a voice is more alike to all, and up to here
# Log odds below which nothing that is said is an interruption by itself. Lower than even: it is worse not to yield to the user than
# to yield to somebody else.
IN_DOUBT = -1.0
# Log odds that are added where the words are meant for the agent: so are 45 of 58 questions, orders and requests, and 2 of 58 read
# sentences and statements (recordings of the development set).
HAILED = 3.0


def by_voice(likeness: float, voiced_ms: float) -> float:
    """The log odds that the user speaks, by the likeness (-1..1) of `voiced_ms` of voice to the user's."""
    return BY_VOICE.odds(likeness - LIKER * min(voiced_ms / 1000, WHOLE_S))
