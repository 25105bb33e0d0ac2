"""Anything goes in; what comes out is right, or says what was wrong. PARLEY_FUZZ_CASES asks for more of it than is tried each time,
PARLEY_FUZZ_SEED for another beginning."""

import os

# Taken out, for to the programs that are tried here they would be settings that they do not know.
_CASES = os.environ.pop("PARLEY_FUZZ_CASES", "")
SEED = int(os.environ.pop("PARLEY_FUZZ_SEED", "24"))


def cases(otherwise: int) -> int:
    """How many are tried: as many as asked for, or `otherwise`."""
    return int(_CASES or otherwise)
