"""Benches: asv suites, one file a subject, and the end-to-end bench against other gateways."""
