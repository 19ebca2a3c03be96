"""Brain, tissues and ventricles, and the template's priors for them."""
