"""cross-modal: few-shot image–text twins. Train, compare, classify, retrieve; the MLflow plugin lives next door."""

from importlib.metadata import PackageNotFoundError, version

from cross_modal.errors import CrossModalError

try:
    __version__ = version("cross-modal")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["CrossModalError", "__version__"]
