"""Whether the name of a host fits a name of a certificate or of an MTA-STS policy. Pure."""


def fits(name: str, pattern: str) -> bool:
    """pattern: a name, or `*.` and a name: then it stands for exactly one label (RFC 9525 s6.3, RFC 8461 s4.1)."""
    name, pattern = name.rstrip(".").lower(), pattern.rstrip(".").lower()
    if pattern.startswith("*."):
        first, _, rest = name.partition(".")
        return bool(first) and rest == pattern[2:]
    return name == pattern
