"""The experiment platform: MLflow tracking and the command line."""
