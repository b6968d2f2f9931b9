"""Edge: queue adapters; each reads where a delivery came from and answers in its queue's words."""
