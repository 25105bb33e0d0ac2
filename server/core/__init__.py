"""What every part of the server uses: the address of a client, limits on what a client may cost, and a watchdog of the event
loop."""
