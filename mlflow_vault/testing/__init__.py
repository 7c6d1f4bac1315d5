"""Contracts and fakes for authors of stores: the counting store, the faulty one."""
