"""Everything that can be asked and done, a module for each subject; importing them declares the operations."""

from control.operations import account, accounts, definitions, status

__all__ = ["account", "accounts", "definitions", "status"]
