"""HTTP: the API, the page, and what of Gradio can be reached."""
