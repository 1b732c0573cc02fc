"""Repair of infected files (AV-04, AV-13): what can be taken out of a file so that the rest of it is still of use.

A cleaner is a module for each kind of content, with one pure function `cleaned(content) -> Repaired | None`. It takes
out everything that can act, not only what matched: scripts, macros, links that fetch what acts. Cleaners work on
hostile octets inside the scanner's sandbox, are bounded by their own constants, and raise nothing on content. Whether
a repair is good enough is not theirs to say: the whole message is walked again afterwards.
"""
