"""What others make of the same models: each module is a server that the headless client can call, run by `tests.bench.compare`."""
