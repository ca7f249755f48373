"""The web server: the HTTP API (`api`) and the pages (`pages`). Controllers translate between HTTP and the features."""
