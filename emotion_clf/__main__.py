"""``python -m emotion_clf`` is ``emotion-clf``."""

from emotion_clf.cli import main

main()
