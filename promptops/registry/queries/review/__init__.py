"""Answers that people review: queues, who works on which item, and labels."""
