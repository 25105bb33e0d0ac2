"""What speaks to other people's servers and models of language, hearing and voice: the first of the vendors that `services.vendors`
knows."""
