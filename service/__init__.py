"""rgz-email: e-mail templates as code, a service that renders, sends and audits templated mail."""

__version__ = "0.2.0"
