"""How a conversation (`app`) is reached and kept: the start, the page and the API, the transports, the sessions and the store."""
