"""A person's report: pictures and sections, each a table of makers, and the page around them."""
