"""Delivery of due messages, from the claim to the committed outcome.

The rows are the truth. The dispatcher claims due messages under a lease, most urgent first; a few threads send them,
each over a connection of its own; outcomes are committed together with the next claim. The leases of a dead worker
lapse, and the next sweep puts its messages back in the queue.
"""
