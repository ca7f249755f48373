"""Templates: files in a directory are compiled, checked, kept in a catalogue and rendered.

`compiler` runs the steps: `source.files` reads the directory, `front_matter.manifest` the YAML; `jinja.tokens` and
`jinja.inheritance` replace Jinja by placeholders; `mjml.parse`, `mjml.validate` and `mjml.emit` make canonical MJML,
`mjml.inline_css` HTML; `jinja.restore` puts Jinja back, with escapes by context; `runtime.sandbox` checks that it
parses. The result is a `template.Template`, which `catalogue` serves. `authoring` is what authors do with templates.
"""
