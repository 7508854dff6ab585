"""What alarms read of the log, and what they keep there."""
