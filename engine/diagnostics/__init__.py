"""What is kept for technicians: logs of SMTP conversations, and copies of messages as they were received (DIAG-01..13).

`conversation.py` writes down one conversation, without I/O; `recorder.py` begins one where settings want it, and
`queue_files.py` copies messages. Both put their files into the `room.py` of their relay, which keeps them within their
bounds; `keeper.py` is all of that for one relay. `files.py` is how they are named and found again.
"""
