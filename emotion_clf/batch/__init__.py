"""Many recordings, one after the other: in this process, or through a service."""
