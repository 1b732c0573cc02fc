"""What a cleaner gives back."""

import msgspec


class Repaired(msgspec.Struct, frozen=True):
    """content: the whole file, as it is to be delivered. done: what was taken out, in plain words, for the journal."""

    content: bytes
    done: tuple[str, ...]
