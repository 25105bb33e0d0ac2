"""HTTP: the API, the page, and the part of Gradio that can be reached."""
