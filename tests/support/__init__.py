"""Helpers of the tests: real servers and peers, a running service, sample data. No test is in here."""
