"""make bench: the line's speed, beside what the wire itself allows and what the obvious version does."""
