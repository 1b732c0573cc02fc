"""What is to be done with a message, as pure functions from facts and settings. No octets, no I/O."""

from engine.policy.antivirus import Plan, decide, settle
from engine.policy.deletion import Deletion, Inside, Ways, Why, escalate, merged, within

__all__ = ["Deletion", "Inside", "Plan", "Ways", "Why", "decide", "escalate", "merged", "settle", "within"]
