"""`python -m keras_vidreg.cli`."""

import sys

from keras_vidreg.cli import main

sys.exit(main())
