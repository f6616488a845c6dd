"""What a person holds: datasets, submissions, folds."""
