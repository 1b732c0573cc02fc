"""What is to be done with a message, as pure functions from facts and settings. No octets, no I/O."""

from engine.policy.antivirus import Deletion, Plan, decide, escalate, settle, top_level, way_to

__all__ = ["Deletion", "Plan", "decide", "escalate", "settle", "top_level", "way_to"]
