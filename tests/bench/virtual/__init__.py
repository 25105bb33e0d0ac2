"""Whole conversations in virtual time: what the program `lab` is made of."""
