"""White matter hyperintensities: where they are looked for, and where they end."""
