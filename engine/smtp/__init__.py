"""Mail comes in: the SMTP session without I/O, and the edge that drives it on sockets."""
