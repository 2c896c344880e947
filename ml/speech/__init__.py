"""From audio to timed words."""
