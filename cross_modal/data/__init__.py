"""Data: the table of items, the sources it is read from, its splits, its balanced batches, its pictures."""
