"""The central quarantine server, `mailward quarantine serve`: a program of its own, beside no gateway (QRN-03..09)."""
