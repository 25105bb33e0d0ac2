"""Passages of the knowledge, and whether they hold the answer."""
