"""What runs when a mail is rendered: sandbox, filters, escapes and the compiled program."""
