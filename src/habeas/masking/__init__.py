"""Masking strategies, one per file, and their registry. Pure but for the making of secrets; knows `domain` only."""
