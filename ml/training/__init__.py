"""What makes the classifier's checkpoint: data, training, evaluation, export."""
