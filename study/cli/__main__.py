"""`python -m study.cli` is `latent-study`."""

import sys

from study.cli import main

if __name__ == "__main__":
    sys.exit(main())
