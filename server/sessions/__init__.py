"""The conversations of this process: their ids, their tokens, how many there may be, how they are resumed, and what is recorded
of them."""
