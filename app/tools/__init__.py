"""Functions that the agent runs while it answers."""
