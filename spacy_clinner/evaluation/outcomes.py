"""What may become of a gold or predicted span or link."""

CORRECT, MISS, FALSE_ALARM = "correct", "miss", "false alarm"
BOUNDARIES, LABEL = "wrong boundaries", "wrong label"
