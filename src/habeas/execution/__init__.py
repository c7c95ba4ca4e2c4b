"""Carries runs out: ordered steps, the runner that claims and advances, the dispatcher, executors."""
