"""Customer tags: defined as files, computed as of an instant, released atomically."""

__version__ = "0.1.0"
