"""Numerical work behind the arrows: what registers nothing and knows no path."""
