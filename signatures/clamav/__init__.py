"""ClamAV's databases, read into our own signatures. Every line that is not taken is listed with its reason."""
