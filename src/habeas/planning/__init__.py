"""Turns datasets, a policy and identity kinds into a plan. Pure: no I/O, no clock, no randomness."""
