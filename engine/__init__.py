"""The data plane: SMTP in, durable queue, scan, policy, delivery. Knows cext, never control or signatures."""
