"""VERB: files of a template, from a request or an editor -> a folder, a commit, and at once what is served."""

from service.publish.plan import Plan, Planner, Target, raised
from service.publish.publisher import Condition, Publisher

__all__ = ["Condition", "Plan", "Planner", "Publisher", "Target", "raised"]
