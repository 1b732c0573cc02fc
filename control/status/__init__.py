"""How the gateway does, told at a glance: figures, time lines, notices; for people, programs and monitoring."""
