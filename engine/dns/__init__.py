"""DNS: one resolver for everything that is looked up, with its cache and its own reader of answers."""

from engine.dns.resolver import DnsFailure, Resolver, is_any_believed

__all__ = ["DnsFailure", "Resolver", "is_any_believed"]
