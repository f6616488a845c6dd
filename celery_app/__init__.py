"""The runner: a Celery worker that trains and tests folds in sandboxed processes."""
