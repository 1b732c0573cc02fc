"""Queued mail as people see it and what they do to it: one mechanism for the command line, the pages and the API."""
