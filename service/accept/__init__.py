"""VERB: request -> rows.

Everything that can be wrong is found here, while the caller still listens: all mistakes at once, before
anything is stored. Rendering happens here too, so a template error is the caller's 422 and a reload can't
change an accepted mail. What was answered with 201 is on disk.

    acceptor.py   who came before with this Idempotency-Key, what needs a thread, the answer
    drafting.py   a request, checked and rendered: a parcel for the intake
"""

from service.accept.acceptor import Accepted, AcceptedMessage, Acceptor
from service.accept.drafting import Drafter

__all__ = ["Accepted", "AcceptedMessage", "Acceptor", "Drafter"]
