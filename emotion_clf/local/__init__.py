"""The local service: broker, database, API and workers on one machine.

The broker and the database are started from wheels. The other processes are started by
command; nothing of ``app`` or ``workers`` is imported here.
"""
