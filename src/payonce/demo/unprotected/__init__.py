"""Front of the demo: the app of its first act, as such apps are; copied and started there."""
