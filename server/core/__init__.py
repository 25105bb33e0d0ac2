"""What every part of the server uses: who asks, what one client may cost, and whether the event loop is held up."""
