"""emotion-clf."""
