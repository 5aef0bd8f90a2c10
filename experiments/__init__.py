"""A small transformer in PyTorch, and the runs that the chapter on it reads.

``make experiments`` runs them and keeps what they find in ``results``. Nothing else imports this folder.
"""
