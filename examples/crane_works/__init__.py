"""A seeded simulator of a crane maker's systems; `README.md` states what it draws from what."""
