"""The conversations of this process: ids, tokens, places, resumption, and what is recorded of them."""
