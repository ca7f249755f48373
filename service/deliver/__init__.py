"""VERB: due rows -> outcomes.

The rows are the truth. A drain claims a little of what is due, under a lease, most urgent first; a few threads send
it, each on a connection of its own; what became of it is committed together with the next claim. A worker that dies
leaves leases behind, which the next sweep takes back.

    deliverer.py  drains when it is told to, sweeps up what dead workers left
    drain.py      one drain: claims, commits, renews; the threads that send
    sender.py     one message: written as a mail, handed over
    means.py      what they work with
"""

from service.deliver.deliverer import Deliverer
from service.deliver.means import COMMIT_AT, boot_clock

__all__ = ["COMMIT_AT", "Deliverer", "boot_clock"]
