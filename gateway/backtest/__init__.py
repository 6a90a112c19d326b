"""What a configuration would have done with recorded data: the engine's own code, without sources, disk or network."""
