"""Voice or other sound."""
