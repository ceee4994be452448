"""Makes `python -m cxrlt_cli` (and `torchrun -m cxrlt_cli`) run `cxrlt`."""

from cxrlt_cli.app import main

if __name__ == "__main__":
    main()
