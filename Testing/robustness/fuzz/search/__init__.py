"""Looking for files that break a reader, in processes that may die of one."""
