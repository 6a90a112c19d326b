"""Events are durable from here on: store, delivery, retention, what was lost."""
