"""Real protocol servers on port 0 of loopback, for tests and for the demo."""
