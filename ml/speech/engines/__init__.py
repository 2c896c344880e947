"""The recognisers: each hears windows of speech, or a whole recording, and gives words."""
