"""The steps: typed functions whose annotations say what is read, what is set, and what is written.

A step takes images, tables and transforms by what they hold (see :mod:`wmhflow.steps.kinds`) and
gives a named tuple of such. It can be called in a notebook as any function; in a run,
:mod:`wmhflow.steps.adapter` reads its files before and writes them afterwards.
"""
