"""`lineside vibration FILE`: a recording examined on the command line, with the gateway's own analysis."""
