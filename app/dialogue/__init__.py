"""What the agent says of its own, what a conversation remembers, and how text becomes clauses."""
