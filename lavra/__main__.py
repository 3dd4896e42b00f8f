"""`python -m lavra`: the command line, for where no script is on the path."""

from lavra.cli.main import main

main()
