"""The durable queue: the fast log of each relay, and one file a message in slow/ and hold/."""
