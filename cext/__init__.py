"""Kernels: octets in, facts out. No I/O, no policy, nothing of the other rooms."""
