"""The command line. Entry points only: every command calls a service or the HTTP API."""
