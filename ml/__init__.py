"""The pipeline from a URL, a file or text to emotions.

No HTTP, no Celery and no database in here: the service (``app``, ``workers``) and the
command line (``emotion_clf``) call this package, never the other way round.
"""
