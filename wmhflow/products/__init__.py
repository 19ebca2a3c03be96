"""Every product declared once: what it is called, when it exists, how it is made."""
