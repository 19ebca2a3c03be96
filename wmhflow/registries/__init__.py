"""The registries that ship with the program, read: maps, atlases, segmenters, and so on."""
