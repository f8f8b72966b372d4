"""The commands, one a module: each has ``run(call: Call) -> None`` and imports what is heavy only when it works."""
