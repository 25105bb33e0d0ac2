"""Whether a sentence sounds finished."""
