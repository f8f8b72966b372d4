"""What training makes small: losses across two towers, miners, distances, cross-batch memory, health gauges."""
