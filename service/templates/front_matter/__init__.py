"""The YAML front matter of a template: manifest, variables, examples, and what a change of them breaks."""
