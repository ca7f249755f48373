"""Where the repository and its parts are, for tests that read its files or run its scripts."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "service"
SCRIPTS = ROOT / "scripts"
TEMPLATES = ROOT / "email_templates"
SNAPSHOTS = ROOT / "snapshots"
