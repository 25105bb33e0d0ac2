"""From a turn's text to frames of audio: answer, clauses, speech, playout, and the ledger of what was heard."""
