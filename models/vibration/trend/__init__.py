"""What changes slowly: levels against their own past and against the machine's other points, and when they reach a limit."""
