"""MJML: parsed with positions, validated, emitted for mrml, with CSS inlined by premailer."""
