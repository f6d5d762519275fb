"""Times and memory, beside other libraries."""
