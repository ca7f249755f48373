"""Entry point of `python -m service.cli`, which is the command `rgz-email`."""

from service.cli.main import main

main()
