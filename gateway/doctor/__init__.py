"""What is wrong around a gateway, each with its remedy. Facts are read in one place and judged in another, which is pure."""
