"""From frames of audio to whose turn it is: voice activity, endpointing, barge-in, recognition."""
