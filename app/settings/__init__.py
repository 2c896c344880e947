"""The settings of the program: read once, checked, frozen."""

from app.settings.settings import Settings

__all__ = ["Settings"]
