"""Parley on Ray Serve (`pip install -r requirements-ray.txt`)."""
