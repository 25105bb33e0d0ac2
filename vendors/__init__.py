"""What speaks to other people's servers and models of language, hearing and voice. These vendors are the first of those that there
are, and are registered as anybody's are: `entry_points.txt` is what pip would write of them.

A voice or a recogniser of somebody else may use what they share: `vendors.http.client`, `vendors.audio_formats`."""
