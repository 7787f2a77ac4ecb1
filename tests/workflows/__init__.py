"""Workflows on a real Temporal server, with stations that do as a test says."""
