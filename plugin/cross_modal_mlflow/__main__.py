"""``python -m cross_modal_mlflow COMMAND``: the command line without its script, as ``torchrun -m`` starts it."""

import sys

from cross_modal_mlflow.command_line import main

if __name__ == "__main__":
    sys.exit(main())
