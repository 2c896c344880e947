"""How well a checkpoint reads emotion: calibration, figures, the model card. Needs no torch."""
