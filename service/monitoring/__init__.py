"""Monitoring: Prometheus metrics, readiness, the overview with its alarms, statistics per template."""
