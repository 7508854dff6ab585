"""People review answers: what they are asked, which answers they get, and what their labels say."""
