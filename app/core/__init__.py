"""What every package of the conversation uses: the clock, latency marks, metrics, resampling, and the
settings of one conversation."""
