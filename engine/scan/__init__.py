"""Takes a message apart, examines every part, keeps the coverage ledger. Pure: octets in, facts out."""
