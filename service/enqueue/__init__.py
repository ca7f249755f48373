"""Checked copies of a mail -> durable rows, with suppressions and limits decided in the same transaction.

Stands between the rooms and the verbs: accepting and resending end the same way. The requests that wait at a moment
share one transaction, and one statement for each table: a turn of the database costs more than a row.
"""

from service.enqueue.intake import Intake
from service.enqueue.parcel import Letter, Parcel

__all__ = ["Intake", "Letter", "Parcel"]
