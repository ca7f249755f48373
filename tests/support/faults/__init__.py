"""Faults with real processes: load, a recording sink, a model of histories, and what the rows must say afterwards."""
