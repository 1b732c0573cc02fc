"""The control plane: pages, command line, accounts, reports. Nothing imports it."""
