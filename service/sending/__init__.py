"""Sends: validate a request, render it, and store it with its messages in a group commit.

Every mistake is found before anything is stored, and all of them are reported at once. Rendering happens here, so a
template error is the caller's 422 and a reload can't change an accepted message. What is answered with 201 is on disk.
"""
