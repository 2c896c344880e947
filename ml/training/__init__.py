"""What makes the classifier's checkpoint: teacher, student, export."""
