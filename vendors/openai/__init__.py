"""OpenAI, and whoever speaks like it."""
