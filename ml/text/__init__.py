"""From words to sentences, their language and their features."""
