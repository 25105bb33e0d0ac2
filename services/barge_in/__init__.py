"""What a burst of sound over the agent is."""
