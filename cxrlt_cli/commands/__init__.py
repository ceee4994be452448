"""One short file a subcommand: options in, one call out. Nothing heavy is imported before the work starts."""
