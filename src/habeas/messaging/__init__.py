"""Providers that deliver messages, and the templates messages are made from. Knows no request and no ledger."""
