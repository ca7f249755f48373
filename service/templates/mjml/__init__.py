"""MJML: parsed with positions, validated, emitted for mrml, its CSS inlined by premailer."""
