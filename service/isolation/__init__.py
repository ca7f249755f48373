"""Child processes with limits for input that may crash or loop: templates of authors, mail of strangers."""
