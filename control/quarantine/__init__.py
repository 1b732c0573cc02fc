"""The gateway's side of the quarantine, in the pages' process: what lies here goes on to the central server (QRN-03).

link.py       one connection to the central server (the words: control/quarantine_server/protocol.py)
forwarder.py  what is to be sent, when it is tried again, and what is told of it
letter.py     the mail that carries a released file
releases.py   releases: from whom they came, and how far they got
memory.py     what of that must not be forgotten
zipped.py     a file to take home
keeper.py     all of it together, in threads
"""
