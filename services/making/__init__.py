"""What is run to make something, and never in a conversation: networks in whole numbers, the judges, the lists of tokens."""
