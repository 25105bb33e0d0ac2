"""What the user wants."""
