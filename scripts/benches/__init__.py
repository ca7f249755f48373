"""The benches of scripts/bench: a module for each (`templates.py`), and modules that they share."""
