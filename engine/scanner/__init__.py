"""The scanner process: its sandbox, its frames, and the relay's pool of scanners."""
