"""Packages: their form, their encryption, and the places they are put. Knows `domain` only."""
