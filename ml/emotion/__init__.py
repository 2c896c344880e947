"""The classifier: its checkpoint, its runtime, and what is made of its predictions."""
