"""VERB: files of a template, from a request or an editor -> a folder, a commit, and at once what is served."""

from service.templates.authoring.publish_plan import Plan, Planner, Target, raised
from service.templates.authoring.publisher import Condition, Publisher

__all__ = ["Condition", "Plan", "Planner", "Publisher", "Target", "raised"]
