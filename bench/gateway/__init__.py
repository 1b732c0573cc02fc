"""End to end: real SMTP in, a counting next hop behind, a gateway in between (`python -m bench.gateway`)."""
