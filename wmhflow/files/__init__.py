"""Files of others and our own: images, transforms, atlases, the template."""
