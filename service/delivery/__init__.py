"""Delivery: what the worker does with a due message, from the claim to the committed outcome.

The rows are the truth. The dispatcher claims due messages under a lease, most urgent first; a few threads send them,
each over a connection of its own; outcomes are committed together with the next claim. Leases that a dead worker left
lapse, and the next sweep puts their messages back in the queue.
"""
