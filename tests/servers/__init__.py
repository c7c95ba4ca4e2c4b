"""Real servers for tests, started from installed binaries on free ports with data folders of their own."""
