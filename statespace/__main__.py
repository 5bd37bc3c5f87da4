"""`python -m statespace`: the command line."""

import sys

from statespace.cli import main

sys.exit(main())
