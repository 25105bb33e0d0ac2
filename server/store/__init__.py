"""Redis: session records, the audit log and latency figures; written in the background, never waited for by a conversation."""
