"""`python -m service.cli` is `rgz-email`."""

from service.cli.main import main

main()
