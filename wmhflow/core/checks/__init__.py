"""Whether images, masks and sides can be what they are said to be."""
