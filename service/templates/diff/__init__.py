"""The difference between two states of a template directory, as mails, and the reports of it."""
