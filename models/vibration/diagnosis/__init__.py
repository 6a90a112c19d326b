"""Which part of a bearing is damaged: envelope spectra by order, the lines of each part in them, and a verdict."""
