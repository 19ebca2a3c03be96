"""Study level: every person's tables gathered."""
