"""What other systems need to take our events, made from the contracts."""
