"""How fast and how big: one command, one scenario at a time, the gateway on one core and everything else on the other."""
