"""The messages that a client and the server send each other, typed, and how a client's message is read."""
