"""How amounts, rates and results look, as text and HTML."""
