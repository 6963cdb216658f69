"""A page on which exported losses run in the browser: see tools/site."""
