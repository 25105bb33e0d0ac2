"""What the agent says by itself, what a conversation remembers, and how text becomes clauses."""
