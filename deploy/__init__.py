"""Parley on more than one machine: docs/scaling.md says when, and what of this to take."""
