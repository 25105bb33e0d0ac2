"""For all tests: how long an example takes says nothing on a busy machine, and is measured elsewhere."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
