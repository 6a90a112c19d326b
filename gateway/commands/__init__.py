"""What the commands of `lineside` do, one file each."""
