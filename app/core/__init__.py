"""What every package of the conversation uses: the clock, latency marks, metrics, resampling, redaction of secrets, types of
settings and the process's environment."""
