"""`python -m talweg`: the same as the command `talweg`."""

from talweg.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
