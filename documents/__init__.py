"""Documents of many kinds as sections that can be searched and spoken. Knows no models."""
