"""From the queue to the next hop: routing, DNS, the SMTP client, results per recipient, bounces.

In order: route.py (settings -> decision), dns.py and nexthop.py (decision -> hosts), pool.py and connection.py
(hosts -> a session), client.py and reply.py (the session, no I/O), deliver.py (message -> attempts), backoff.py
(when to try again), bounce.py (what the sender is told), trace.py (the Received field).
"""
