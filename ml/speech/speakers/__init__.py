"""Who said what: voices, their clusters, and the turns that they take."""
