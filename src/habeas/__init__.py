"""Habeas finds what a company holds about a person, hands it over, erases it, and proves both."""

__version__ = "0.1.0"
