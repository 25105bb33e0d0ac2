#!/bin/sh
# The shell becomes the server; its child, the guard, waits for the end of the pipe. The guard stays in the server's process
# group, and as long as it does the kernel gives the server's number to no other process.
exec 3<&0
( read -r _ <&3
  kill $$
  i=0; while kill -0 $$ && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
  kill -9 $$ ) 2>/dev/null &
exec "$@" 3<&- </dev/null
