"""What DNS says about who sent a message: block lists, SPF, DKIM, DMARC, ARC. Asked by the relay."""
