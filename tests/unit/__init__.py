"""Unit tests: logic alone, in virtual time. What is generated may take as long as it does, on a machine that is busy."""

from hypothesis import settings

settings.register_profile("parley", deadline=None)
settings.load_profile("parley")
