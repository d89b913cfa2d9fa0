"""Mergeable figures ("cells"): counts, extremes, moments, histograms, quantiles, distinct, top values, key sets, ...

Each is a commutative monoid: an empty one changes nothing, and any split and any order give the same cell, or one
within the error that it states.
"""
