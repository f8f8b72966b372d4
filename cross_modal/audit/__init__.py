"""What is wrong with the data, by the twin's own embeddings: labels, classes and pairs to look at again."""
