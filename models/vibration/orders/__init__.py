"""What the shaft itself shows: its speed, its multiples and what they tell, and spectra by order when the speed varies."""
