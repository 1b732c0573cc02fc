"""Changes of settings: made in the file as people would, told in plain words, kept with who and when, and undone.

`change.py` says what differs, `edit.py` changes a TOML text and leaves the rest of it alone, `revisions.py` keeps what
the file was, and `keeper.py` joins them: read, save, restore, each with the digest of what was read (ETag).
"""
