"""The support bundle: what technicians need to know of a gateway, without mail, people's addresses, keys or passwords.

`bundle.py` puts it together and says before what is in it; `journal.py` takes events and `machine.py` figures of queues
and system; `redaction.py` decides what of a text may be told: only what is known to be harmless.
"""

from control.support.bundle import Part, file_name, parts, write

__all__ = ["Part", "file_name", "parts", "write"]
