"""The sample company and its story, shipped in the wheel.

A client of the HTTP API like any other: it may know `domain` and third-party packages, nothing else of ours.
"""
