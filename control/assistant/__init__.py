"""The setup assistant: what a new gateway has to be told, and tests that show whether it would work (INST-03..12)."""
