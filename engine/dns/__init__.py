"""DNS: one resolver for everything that is looked up, with its cache and its own reader of answers."""

from engine.dns.resolver import DnsFailure, Resolver

__all__ = ["DnsFailure", "Resolver"]
