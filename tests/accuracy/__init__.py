"""The accuracy of every function against exact answers, beside that of other libraries."""
