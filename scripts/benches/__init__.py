"""The benches of scripts/bench: one file each (`templates.py`), and beside them what they share or are made of."""
