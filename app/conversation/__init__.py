"""One conversation: its state machine, the effects of each transition, and what is said in a silence."""
