"""Redis: session records, the audit log and latency figures, written in the background; no conversation waits for them."""
