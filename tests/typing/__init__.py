"""Programs of users that type checkers read, and that run."""
