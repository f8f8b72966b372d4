"""Why two items match: where the pooling looks, which tokens agree, which references voted."""
