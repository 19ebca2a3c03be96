"""The registries that ship with the program, read: maps, atlases, quality, references."""
