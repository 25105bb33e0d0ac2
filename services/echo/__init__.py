"""The agent's own voice in the microphone."""
