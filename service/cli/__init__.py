"""The command line, `rgz-email`: one module a command or group of commands.

Exit codes: 0 done, 1 it did not work (the reason is on standard error), 2 wrong usage or settings.
"""

from service.cli.main import main

__all__ = ["main"]
