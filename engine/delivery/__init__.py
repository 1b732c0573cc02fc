"""From the queue to the next hop: routing, DNS, the SMTP client, results per recipient, bounces.

In order: route.py (settings -> decision), nexthop.py (decision -> hosts), security/ (what a host has to have), pool.py
and lane.py (who gets a connection), connector.py, reach.py and connection.py (hosts -> a session), dialogue.py,
client.py and reply.py (the session, no I/O), deliver.py (message -> attempts), backoff.py (when to try again),
bounce.py (what the sender is told), trace.py (the Received field).
"""
