"""What every room uses: the clock, latency marks, limits, metrics, redaction of secrets, the process's environment."""
