"""Drafts of datasets: what a store's own description lets us propose, and what is left for a person to decide.

`draft_dataset` makes a draft from a sketch, `write_draft` writes it as YAML, `summarise` lists what to look at. All of
it is pure and sees names and types only, never a value of a row.
"""
