"""Lets `python -m cxrlt_cli` (and so `torchrun -m cxrlt_cli`) stand for `cxrlt`."""

from cxrlt_cli.app import main

if __name__ == "__main__":
    main()
