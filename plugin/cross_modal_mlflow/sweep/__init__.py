"""Sweeps: Optuna finds margins, losses and miners; every trial is an MLflow run; workers join from anywhere."""
