"""What a client and the server say to each other, as typed messages, and how a client's message is read."""
