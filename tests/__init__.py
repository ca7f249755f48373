"""The tests, in the layout of `service/`; helpers are in `tests/support`."""
