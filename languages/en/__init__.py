"""English."""

from pathlib import Path

FOLDER = Path(__file__).parent  # of its data
