"""The templates room: files become something that renders.

The steps, in order: `source` (files) -> `manifest` (front matter) -> `tokens`, `flatten` (Jinja becomes placeholders)
-> `mjml_parse`, `mjml_validate`, `mjml_emit` -> `inline` (mrml, premailer) -> `restore` (placeholders become Jinja, by
context) -> `sandbox` -> `template` -> `catalogue`. `compiler` is the chain; the rest of the program imports from
`compiler`, `template`, `catalogue` and `sandbox`.
"""
