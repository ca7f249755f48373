"""Deployments: follow a git repository of templates; what is served, what is held, and the way back."""
