"""The local quarantine: infected files as they came, encrypted, until the pages forward, release or delete them.

item.py     what is known of a file
sealed.py   one file on disk: encrypted pieces, and behind them what is known of it
shelf.py    the directory within its bounds, as a relay fills it
folder.py   the same directory, as the pages look at it
wanted.py   which files settings want to have put aside (QRN-01, QRN-02)
"""
