"""Front of the demo: the same app with payonce; copied and started by the second act."""
