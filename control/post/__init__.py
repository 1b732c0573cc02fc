"""Mail of the gateway's own: which events somebody is told of, what is written, and what waits to be handed over."""
