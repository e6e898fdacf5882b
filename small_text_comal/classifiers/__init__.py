"""What a query strategy may ask of a classifier, and the classifiers that answer."""
