"""Personal data in speech: finding it, and taking it out."""
