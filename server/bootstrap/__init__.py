"""How the program starts: the page while models load, the app, the services that the settings name."""
