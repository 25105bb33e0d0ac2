"""How the settings of a process are read and judged: its environment and `.env` file, the types of settings, and the secrets that
no log may tell."""
