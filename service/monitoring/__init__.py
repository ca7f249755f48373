"""How the service stands: metrics, readiness, the overview and figures of templates."""
