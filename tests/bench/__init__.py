"""The measuring programs: `python -m tests.bench NAME`. Each talks to a running server as a listener would, in real time."""
