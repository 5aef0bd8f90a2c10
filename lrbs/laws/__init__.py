"""Closed laws in the batch size, a room for each chapter of the book.

They stand on the core (model, rules, moments, step); nothing there needs them.
"""
