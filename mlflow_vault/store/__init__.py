"""Where bytes live: keys to bytes, and nothing of chunks or of MLflow."""
