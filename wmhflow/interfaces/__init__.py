"""Nipype interfaces: load, call one core function, save."""
