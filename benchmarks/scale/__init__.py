"""Whether a study of ten thousand people can be planned and gathered."""
