"""Identity: which keys of several systems are one customer, from when, and by which evidence."""
